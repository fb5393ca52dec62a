package judge

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// terraformNames are the resources that Terraform names in another way than Pulumi's module and type, as terraformType puts
// them together.
var terraformNames = map[string]string{
	"aws:lb/loadBalancer:LoadBalancer":              "aws_lb",
	"aws:rds/eventSubscription:EventSubscription":   "aws_db_event_subscription",
	"aws:rds/subnetGroup:SubnetGroup":               "aws_db_subnet_group",
	"aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": "aws_sqs_queue_redrive_allow_policy",
}

// terraformProperties are the properties of the same kind, by type and name.
var terraformProperties = map[string]string{
	"aws_cloudwatch_metric_alarm name": "alarm_name",
	"aws_sns_topic_subscription topic": "topic_arn",
}

// mapsInTerraform are attributes: all other objects are blocks, which a plan shows as lists.
var mapsInTerraform = []string{"tags", "dimensions"}

// pluralBlocks keep the name that Pulumi has for the list of them.
var pluralBlocks = []string{"dimensions", "metrics", "redacted_fields"}

// terraformPlan is what `terraform show -json` would tell of a plan that makes the resources. pulumi-aws is made of Terraform's
// provider, so that types and properties are the same but for their names, and the judges of plans have many more rules than
// those of CloudFormation templates.
func terraformPlan(resources []declaration) map[string]any {
	planned, changes, configuration := []any{}, []any{}, []any{}
	addresses := terraformAddresses(resources)
	for _, r := range resources {
		kind := terraformType(r.Type)
		address := kind + "." + r.Name
		values := terraformBlock(r.Planned)
		for name, value := range values {
			if renamed, is := terraformProperties[kind+" "+name]; is {
				delete(values, name)
				values[renamed] = value
			}
		}
		expressions := map[string]any{}
		for name, value := range values {
			if references := references(value, addresses, address); len(references) > 0 {
				expressions[name] = map[string]any{"references": references}
			}
		}
		one := func(key string, value any) map[string]any {
			return map[string]any{"address": address, "mode": "managed", "type": kind, "name": r.Name, key: value}
		}
		planned = append(planned, one("values", values))
		changes = append(changes, one("change", map[string]any{
			"actions": []string{"create"}, "before": nil, "after": values, "after_unknown": map[string]any{},
		}))
		configuration = append(configuration, one("expressions", expressions))
	}
	module := func(resources []any) map[string]any {
		return map[string]any{"root_module": map[string]any{"resources": resources}}
	}
	return map[string]any{
		"format_version": "1.2", "terraform_version": "1.11.4",
		"planned_values": module(planned), "resource_changes": changes, "configuration": module(configuration),
	}
}

// terraformType is the type of a Pulumi type.
func terraformType(token string) string {
	if name, named := terraformNames[token]; named {
		return name
	}
	parts := strings.Split(token, ":")
	module, _, _ := strings.Cut(parts[1], "/")
	kind := snake(strings.TrimSuffix(parts[2], "V2"))
	switch module {
	case "ec2":
		return "aws_" + kind
	case "index":
		return parts[0] + "_" + kind
	}
	return "aws_" + module + "_" + kind
}

var capital = regexp.MustCompile(`[A-Z]`)

func snake(name string) string {
	return strings.TrimPrefix(capital.ReplaceAllStringFunc(name, func(s string) string { return "_" + strings.ToLower(s) }), "_")
}

// terraformBlock renames the properties of an object.
func terraformBlock(object map[string]any) map[string]any {
	block := map[string]any{}
	for key, value := range object {
		name := snake(key)
		switch value := value.(type) {
		case map[string]any:
			if slices.Contains(mapsInTerraform, name) {
				block[name] = value
			} else {
				block[name] = []any{terraformBlock(value)}
			}
		case []any:
			blocks := make([]any, len(value))
			for i, item := range value {
				blocks[i] = item
				if item, isObject := item.(map[string]any); isObject {
					blocks[i] = terraformBlock(item)
				}
			}
			if len(value) > 0 && !slices.Contains(pluralBlocks, name) {
				if _, ofObjects := value[0].(map[string]any); ofObjects {
					name = singular(name)
				}
			}
			block[name] = blocks
		default:
			block[name] = value
		}
	}
	return block
}

func singular(name string) string {
	switch {
	case strings.HasSuffix(name, "ies"):
		return strings.TrimSuffix(name, "ies") + "y"
	case strings.HasSuffix(name, "aliases"):
		return strings.TrimSuffix(name, "es")
	}
	return strings.TrimSuffix(name, "s")
}

// terraformAddresses are the attributes that AWS gives the resources, by value. What is of another, such as the policy of a
// bucket, often goes by its id, and is made after it.
func terraformAddresses(resources []declaration) map[string]string {
	addresses := map[string]string{}
	for _, r := range resources {
		address := terraformType(r.Type) + "." + r.Name + "."
		add := func(attribute, value string) {
			if _, known := addresses[value]; !known && len(value) > 8 {
				addresses[value] = address + attribute
			}
		}
		add("id", r.ID)
		for _, attribute := range slices.Sorted(maps.Keys(r.Made)) {
			add(snake(attribute), r.Made[attribute])
		}
	}
	return addresses
}

// references are the attributes of others that a value consists of, as a plan names them: the attribute, then the resource.
func references(value any, addresses map[string]string, own string) []string {
	var found []string
	switch value := value.(type) {
	case string:
		attribute, known := addresses[value]
		if resource := attribute[:max(0, strings.LastIndex(attribute, "."))]; known && resource != own {
			found = []string{attribute, resource}
		}
	case []any:
		for _, item := range value {
			found = append(found, references(item, addresses, own)...)
		}
	case map[string]any:
		for _, item := range value {
			found = append(found, references(item, addresses, own)...)
		}
	}
	return found
}

func TestAPlanHasTheNamesOfTerraformAndWhatRefersToWhat(t *testing.T) {
	plan := terraformPlan([]declaration{
		{Type: "aws:s3/bucketV2:BucketV2", Name: "logs", ID: "logs-of-a-stack", Planned: map[string]any{"forceDestroy": true}},
		{Type: "aws:ecs/cluster:Cluster", Name: "c", Planned: map[string]any{
			"settings": []any{map[string]any{"name": "containerInsights"}}, "kmsKeyId": "logs-of-a-stack", "tags": map[string]any{"Name": "c"},
		}},
	})
	resources := plan["planned_values"].(map[string]any)["root_module"].(map[string]any)["resources"].([]any)
	assert.Equal(t, map[string]any{
		"address": "aws_s3_bucket.logs", "mode": "managed", "type": "aws_s3_bucket", "name": "logs", "values": map[string]any{"force_destroy": true},
	}, resources[0])
	assert.Equal(t, map[string]any{
		"setting": []any{map[string]any{"name": "containerInsights"}}, "kms_key_id": "logs-of-a-stack", "tags": map[string]any{"Name": "c"},
	}, resources[1].(map[string]any)["values"])
	configuration := plan["configuration"].(map[string]any)["root_module"].(map[string]any)["resources"].([]any)
	assert.Equal(t, map[string]any{"kms_key_id": map[string]any{"references": []string{"aws_s3_bucket.logs.id", "aws_s3_bucket.logs"}}},
		configuration[1].(map[string]any)["expressions"])
	assert.Equal(t, "aws_vpc_security_group_ingress_rule", terraformType("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"))
}
