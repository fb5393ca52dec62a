package dataplane

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib/cloud"
)

// deployed is what the API tells of the cluster at one moment.
type deployed struct {
	services []ecstypes.Service
	// tasks are those that are to run and that the plane does not know.
	tasks []ecstypes.Task
	// stopped are those of the plane's that are to stop, since somebody has called StopTask.
	stopped []ecstypes.Task
}

// readCluster reads services, and tasks as far as they are news. known are the plane's own, by ARN, that are to run.
func readCluster(ctx context.Context, r *cloud.Reader, cluster string, known map[string]bool) (deployed, error) {
	var d deployed
	services, err := r.ECSServices(ctx, cluster)
	if cloud.IsNotFound(err) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	arns, err := cloud.Pages(ctx, ecs.NewListTasksPaginator(r.ECS, &ecs.ListTasksInput{Cluster: &cluster}),
		func(o *ecs.ListTasksOutput) []string { return o.TaskArns })
	if cloud.IsNotFound(err) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	d.services = services
	var asked []string
	for _, arn := range arns {
		if !known[arn] {
			asked = append(asked, arn)
		}
	}
	for arn := range known {
		if !slices.Contains(arns, arn) {
			asked = append(asked, arn)
		}
	}
	for some := range slices.Chunk(asked, 100) {
		out, err := r.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: some})
		if err != nil {
			return d, err
		}
		for _, t := range out.Tasks {
			switch {
			case !known[aws.ToString(t.TaskArn)]:
				d.tasks = append(d.tasks, t)
			case aws.ToString(t.DesiredStatus) == string(ecstypes.DesiredStatusStopped):
				d.stopped = append(d.stopped, t)
			}
		}
	}
	return d, nil
}

// definitions are task definitions, which never change, and so are read once.
type definitions map[string]*ecstypes.TaskDefinition

func (d definitions) get(ctx context.Context, r *cloud.Reader, arn string) (*ecstypes.TaskDefinition, error) {
	if known := d[arn]; known != nil {
		return known, nil
	}
	out, err := r.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn})
	if err != nil {
		return nil, err
	}
	if out.TaskDefinition == nil {
		return nil, errors.New("the answer to DescribeTaskDefinition is empty")
	}
	d[arn] = out.TaskDefinition
	return out.TaskDefinition, nil
}

// detail is one of an attachment's.
func detail(t ecstypes.Task, name string) string {
	for _, a := range t.Attachments {
		for _, d := range a.Details {
			if aws.ToString(a.Type) == eniAttachment && aws.ToString(d.Name) == name {
				return aws.ToString(d.Value)
			}
		}
	}
	return ""
}

const eniAttachment = "ElasticNetworkInterface"

// last is what follows the last slash: the name in an ARN.
func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
