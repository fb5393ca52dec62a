package declared

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Account is the AWS account that the mocks say they are.
const Account = "123456789012"

// Mocks answer the program in place of the engine and of AWS.
type Mocks struct {
	Account, Region string
	Caller          string            // as STS names it; empty: a session of the role deployer
	Zones           map[string]string // id to name
	Seed            byte              // all random bytes
	Password        string            // what random passwords begin with; their names follow
	Database        string            // version of the cluster aurora-cluster-unit; empty: it is not there
	Deployed        map[string]any    // outputs of the stack's last deployment
}

// NewMocks answer for a region, with zones of these names or others.
func NewMocks(region string, zones ...string) *Mocks {
	m := &Mocks{Account: Account, Region: region, Zones: map[string]string{}, Seed: 7, Password: "Aa1!&%#<>pass"} //nolint:gosec // of no database
	if len(zones) == 0 {
		zones = []string{region + "a", region + "b", region + "c"}
	}
	for i, name := range zones {
		m.Zones[fmt.Sprintf("mock1-az%d", i+1)] = name
	}
	return m
}

// Call answers the functions that the program invokes.
func (m *Mocks) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	answer := map[string]any{}
	switch args.Token {
	case "pulumi:pulumi:readStackOutputs":
		answer["outputs"] = m.Deployed
	case "aws:index/getCallerIdentity:getCallerIdentity":
		answer["accountId"], answer["arn"] = m.Account, cmp.Or(m.Caller, "arn:aws:sts::"+m.Account+":assumed-role/deployer/session")
	case "aws:index/getRegion:getRegion":
		answer["name"] = m.Region
	case "aws:index/getPartition:getPartition":
		answer["partition"], answer["reverseDnsPrefix"], answer["dnsSuffix"] = "aws", "com.amazonaws", "amazonaws.com"
	case "aws:rds/getClusters:getClusters":
		answer["clusterIdentifiers"] = []any{}
		if m.Database != "" {
			answer["clusterIdentifiers"] = []any{"aurora-cluster-unit"}
		}
	case "aws:rds/getCluster:getCluster":
		answer["engineVersion"] = m.Database
	case "aws:rds/getEngineVersion:getEngineVersion":
		answer["versionActual"] = args.Args["version"].StringValue() + ".6"
	case "aws:index/getAvailabilityZones:getAvailabilityZones":
		answer["zoneIds"], answer["names"] = m.zonesByName()
	default:
		return nil, fmt.Errorf("the program called %s, which the mocks do not know", args.Token)
	}
	return resource.NewPropertyMapFromMap(answer), nil
}

// zonesByName lists zones in the order of their names, as AWS does.
func (m *Mocks) zonesByName() (ids, names []any) {
	for _, id := range slices.SortedFunc(maps.Keys(m.Zones), func(a, b string) int { return strings.Compare(m.Zones[a], m.Zones[b]) }) {
		ids, names = append(ids, id), append(names, m.Zones[id])
	}
	return ids, names
}

// NewResource makes a resource: its inputs come back as outputs, with what AWS would add.
func (m *Mocks) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	state := args.Inputs.Copy()
	for key, value := range m.Outputs(args.TypeToken, args.Name) {
		state[resource.PropertyKey(key)] = resource.NewPropertyValue(value)
	}
	return args.Name + "-id", state, nil
}

// Outputs are what AWS would add to a resource of a type.
func (m *Mocks) Outputs(token, name string) map[string]any {
	out := map[string]any{"arn": fmt.Sprintf("arn:aws:mock:%s:%s:%s", m.Region, m.Account, name)}
	switch token {
	case "random:index/randomBytes:RandomBytes":
		raw := slices.Repeat([]byte{m.Seed}, 32)
		out["base64"], out["hex"] = base64.StdEncoding.EncodeToString(raw), fmt.Sprintf("%x", raw)
	case "random:index/randomPassword:RandomPassword":
		out["result"] = m.Password + name
	case "aws:rds/cluster:Cluster":
		out["endpoint"], out["readerEndpoint"] = "writer.example", "reader.example"
		out["engineVersionActual"], out["clusterResourceId"] = "16.6", "cluster-RESOURCE"
	case "aws:sqs/queue:Queue":
		out["url"] = "https://sqs.example/" + name
	case "aws:lb/loadBalancer:LoadBalancer":
		out["arnSuffix"], out["dnsName"], out["zoneId"] = "app/"+name+"/1", name+".example", "ZALB"
	case "aws:lb/targetGroup:TargetGroup":
		out["arnSuffix"] = "targetgroup/" + name + "/1"
	case "aws:secretsmanager/secretVersion:SecretVersion":
		out["versionId"] = "version-id"
	case "aws:kms/key:Key":
		out["keyId"] = "key-id"
	case "aws:route53/record:Record":
		out["fqdn"] = "record.example"
	case "aws:acm/certificateValidation:CertificateValidation":
		out["certificateArn"] = "arn:aws:acm:validated"
	case "aws:acm/certificate:Certificate":
		out["domainValidationOptions"] = []any{map[string]any{
			"domainName": "pay.example.com", "resourceRecordName": "_proof.pay.example.com",
			"resourceRecordType": "CNAME", "resourceRecordValue": "_proof.acm.example",
		}}
	}
	return out
}
