package rds

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/pulumi/pulumi-go-provider/infer"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// Functions lists the functions of this package: the aws_rds_clusters, aws_rds_cluster and aws_rds_engine_version data
// sources, as far as the stack uses them.
func Functions() []infer.InferredFunction {
	return []infer.InferredFunction{
		resource.DefineFunction(clusters), resource.DefineFunction(oneCluster), resource.DefineFunction(engineVersion),
	}
}

// ClustersArgs are the arguments of aws:rds/getClusters:getClusters.
type ClustersArgs struct {
	Filters []ClusterFilter `pulumi:"filters,optional"`
}

// ClusterFilter narrows a list of clusters (DescribeDBClusters, RDS API reference).
type ClusterFilter struct {
	Name   string   `pulumi:"name"`
	Values []string `pulumi:"values"`
}

// ClustersResult lists all clusters of the account and region. Both lists run in parallel.
type ClustersResult struct {
	ID                 string   `pulumi:"id"`
	ClusterArns        []string `pulumi:"clusterArns"`
	ClusterIdentifiers []string `pulumi:"clusterIdentifiers"`
}

var clusters = resource.Function[ClustersArgs, ClustersResult]{
	Token: "aws:rds/getClusters:getClusters",
	Call: func(ctx context.Context, c *resource.Cloud, in ClustersArgs) (ClustersResult, error) {
		request := &rds.DescribeDBClustersInput{}
		for _, f := range in.Filters {
			request.Filters = append(request.Filters, types.Filter{Name: &f.Name, Values: f.Values})
		}
		all, err := cloud.Pages(ctx, rds.NewDescribeDBClustersPaginator(c.RDS, request),
			func(o *rds.DescribeDBClustersOutput) []types.DBCluster { return o.DBClusters })
		result := ClustersResult{ID: c.Region, ClusterArns: []string{}, ClusterIdentifiers: []string{}}
		for _, found := range all {
			result.ClusterArns = append(result.ClusterArns, aws.ToString(found.DBClusterArn))
			result.ClusterIdentifiers = append(result.ClusterIdentifiers, aws.ToString(found.DBClusterIdentifier))
		}
		return result, err
	},
}

// OneClusterArgs are the arguments of aws:rds/getCluster:getCluster.
type OneClusterArgs struct {
	ClusterIdentifier string `pulumi:"clusterIdentifier"`
}

// OneClusterResult is what is known of a cluster; its version is the one that runs.
type OneClusterResult struct {
	ID                string `pulumi:"id"`
	Arn               string `pulumi:"arn"`
	ClusterIdentifier string `pulumi:"clusterIdentifier"`
	Engine            string `pulumi:"engine"`
	EngineVersion     string `pulumi:"engineVersion"`
}

var oneCluster = resource.Function[OneClusterArgs, OneClusterResult]{
	Token: "aws:rds/getCluster:getCluster",
	Call: func(ctx context.Context, c *resource.Cloud, in OneClusterArgs) (OneClusterResult, error) {
		got, err := findCluster(ctx, c, in.ClusterIdentifier)
		return OneClusterResult{
			ID: in.ClusterIdentifier, Arn: aws.ToString(got.DBClusterArn), ClusterIdentifier: in.ClusterIdentifier,
			Engine: aws.ToString(got.Engine), EngineVersion: aws.ToString(got.EngineVersion),
		}, err
	},
}

// EngineVersionArgs are the arguments of aws:rds/getEngineVersion:getEngineVersion.
type EngineVersionArgs struct {
	Engine      string  `pulumi:"engine"`
	Version     *string `pulumi:"version,optional"`
	DefaultOnly *bool   `pulumi:"defaultOnly,optional"`
}

// EngineVersionResult is the one version that is meant.
type EngineVersionResult struct {
	ID                   string `pulumi:"id"`
	Version              string `pulumi:"version"`
	VersionActual        string `pulumi:"versionActual"`
	ParameterGroupFamily string `pulumi:"parameterGroupFamily"`
}

var engineVersion = resource.Function[EngineVersionArgs, EngineVersionResult]{
	Token: "aws:rds/getEngineVersion:getEngineVersion",
	Call: func(ctx context.Context, c *resource.Cloud, in EngineVersionArgs) (EngineVersionResult, error) {
		pages := rds.NewDescribeDBEngineVersionsPaginator(c.RDS, &rds.DescribeDBEngineVersionsInput{
			Engine: &in.Engine, EngineVersion: in.Version, DefaultOnly: in.DefaultOnly,
		})
		all, err := cloud.Pages(ctx, pages, func(o *rds.DescribeDBEngineVersionsOutput) []types.DBEngineVersion { return o.DBEngineVersions })
		if err != nil {
			return EngineVersionResult{}, err
		}
		if len(all) != 1 {
			return EngineVersionResult{}, fmt.Errorf("%d versions of %s match %s, and one is wanted", len(all), in.Engine, aws.ToString(in.Version))
		}
		version := aws.ToString(all[0].EngineVersion)
		return EngineVersionResult{version, version, version, aws.ToString(all[0].DBParameterGroupFamily)}, nil
	},
}
