package ecs

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// TaskDefinitionArgs are the inputs of aws:ecs/taskDefinition:TaskDefinition. A task definition never changes: all but
// the tags makes another revision.
type TaskDefinitionArgs struct {
	resource.Tagged
	Family                  string            `pulumi:"family" aws:"forcenew"`
	CPU                     *string           `pulumi:"cpu,optional" aws:"forcenew"`
	Memory                  *string           `pulumi:"memory,optional" aws:"forcenew"`
	NetworkMode             *string           `pulumi:"networkMode,optional" aws:"forcenew,computed"`
	RequiresCompatibilities []string          `pulumi:"requiresCompatibilities,optional" aws:"forcenew,set"`
	ExecutionRoleArn        *string           `pulumi:"executionRoleArn,optional" aws:"forcenew"`
	TaskRoleArn             *string           `pulumi:"taskRoleArn,optional" aws:"forcenew"`
	RuntimePlatform         *RuntimePlatform  `pulumi:"runtimePlatform,optional" aws:"forcenew"`
	EphemeralStorage        *EphemeralStorage `pulumi:"ephemeralStorage,optional" aws:"forcenew"`
	Volumes                 []Volume          `pulumi:"volumes,optional" aws:"forcenew,set"`
	ContainerDefinitions    string            `pulumi:"containerDefinitions" aws:"forcenew"`
}

// RuntimePlatform is what the containers run on.
type RuntimePlatform struct {
	CPUArchitecture       *string `pulumi:"cpuArchitecture,optional"`
	OperatingSystemFamily *string `pulumi:"operatingSystemFamily,optional"`
}

// EphemeralStorage is the storage of a task on Fargate, in GiB.
type EphemeralStorage struct {
	SizeInGib int `pulumi:"sizeInGib"`
}

// Volume is a volume of a task; without a host path it is empty at first.
type Volume struct {
	Name              string  `pulumi:"name"`
	HostPath          *string `pulumi:"hostPath,optional"`
	ConfigureAtLaunch *bool   `pulumi:"configureAtLaunch,optional"`
}

// TaskDefinitionState is the state of aws:ecs/taskDefinition:TaskDefinition; its id is the family.
type TaskDefinitionState struct {
	TaskDefinitionArgs
	resource.AllTags
	Arn                string `pulumi:"arn"`
	ArnWithoutRevision string `pulumi:"arnWithoutRevision"`
	Revision           int    `pulumi:"revision"`
}

var family = regexp.MustCompile(`^[0-9A-Za-z_-]{1,255}$`)

var taskDefinition = resource.Description[TaskDefinitionArgs, TaskDefinitionState]{
	Token:  "aws:ecs/taskDefinition:TaskDefinition",
	Check:  checkTaskDefinition,
	Create: registerTaskDefinition,
	Read:   readTaskDefinition,
	Update: func(ctx context.Context, c *resource.Cloud, _ string, old TaskDefinitionState, a TaskDefinitionArgs) error {
		return updateTags(ctx, c, old.Arn, old.Tags, a.Tags)
	},
	Delete: deregisterTaskDefinition,
	Example: func(x resource.Scratch) resource.Example[TaskDefinitionArgs] {
		role := x.Make("aws:iam/role:Role", map[string]any{"name": x.Name("role"), "assumeRolePolicy": tasksMayAssume})
		arn := role.Outputs["arn"].(string)
		return resource.Example[TaskDefinitionArgs]{
			Inputs: TaskDefinitionArgs{
				Family: x.Name("task"), CPU: aws.String("1024"), Memory: aws.String("2048"), NetworkMode: aws.String("awsvpc"),
				RequiresCompatibilities: []string{"FARGATE"}, ExecutionRoleArn: &arn, TaskRoleArn: &arn,
				RuntimePlatform: &RuntimePlatform{
					CPUArchitecture: aws.String("X86_64"), OperatingSystemFamily: aws.String("LINUX"),
				},
				EphemeralStorage: &EphemeralStorage{SizeInGib: 30}, Volumes: []Volume{{Name: "tmp", ConfigureAtLaunch: aws.Bool(false)}},
				ContainerDefinitions: exampleContainers,
				Tagged:               resource.Tagged{Tags: map[string]string{"Name": "task"}},
			},
			Changes: []resource.Change[TaskDefinitionArgs]{
				{Name: "tags", Apply: func(a *TaskDefinitionArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func checkTaskDefinition(a *TaskDefinitionArgs) []resource.Fault {
	var faults []resource.Fault
	if a.Family != "" && !family.MatchString(a.Family) {
		faults = append(faults, resource.Fault{
			Property: "family", Reason: "must be 1 to 255 letters, digits, hyphens and underscores",
		})
	}
	if a.ContainerDefinitions == "" {
		return faults
	}
	containers, err := parseContainers(a.ContainerDefinitions)
	if err == nil {
		a.ContainerDefinitions, err = canonicalContainers(containers, aws.ToString(a.NetworkMode))
	}
	if err != nil {
		faults = append(faults, resource.Fault{
			Property: "containerDefinitions", Reason: fmt.Sprintf("not a list of ECS container definitions: %v", err),
		})
	}
	return faults
}

func registerTaskDefinition(ctx context.Context, c *resource.Cloud, a TaskDefinitionArgs) (string, error) {
	containers, err := parseContainers(a.ContainerDefinitions)
	if err != nil {
		return "", fmt.Errorf("reading the container definitions of %s: %w", a.Family, err)
	}
	in := &ecs.RegisterTaskDefinitionInput{
		Family: &a.Family, Cpu: a.CPU, Memory: a.Memory, NetworkMode: types.NetworkMode(aws.ToString(a.NetworkMode)),
		ExecutionRoleArn: a.ExecutionRoleArn, TaskRoleArn: a.TaskRoleArn, ContainerDefinitions: containers, Tags: tagList(a.Tags),
	}
	for _, it := range a.RequiresCompatibilities {
		in.RequiresCompatibilities = append(in.RequiresCompatibilities, types.Compatibility(it))
	}
	if p := a.RuntimePlatform; p != nil {
		in.RuntimePlatform = &types.RuntimePlatform{
			CpuArchitecture:       types.CPUArchitecture(aws.ToString(p.CPUArchitecture)),
			OperatingSystemFamily: types.OSFamily(aws.ToString(p.OperatingSystemFamily)),
		}
	}
	if e := a.EphemeralStorage; e != nil {
		in.EphemeralStorage = &types.EphemeralStorage{SizeInGiB: *resource.Int32(&e.SizeInGib)}
	}
	for _, it := range a.Volumes {
		volume := types.Volume{Name: &it.Name, ConfiguredAtLaunch: aws.Bool(aws.ToBool(it.ConfigureAtLaunch))}
		if it.HostPath != nil {
			volume.Host = &types.HostVolumeProperties{SourcePath: it.HostPath}
		}
		in.Volumes = append(in.Volumes, volume)
	}
	out, err := c.ECS.RegisterTaskDefinition(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.TaskDefinition.Family), nil
}

// readTaskDefinition reads the revision that the state names; at first, when there is none, the family's latest.
func readTaskDefinition(ctx context.Context, c *resource.Cloud, id string, prior TaskDefinitionState) (TaskDefinitionState, error) {
	name := prior.Arn
	if name == "" {
		name = id
	}
	found, tags, err := findTaskDefinition(ctx, c, name)
	if err != nil {
		return prior, err
	}
	s := prior
	s.Family, s.CPU, s.Memory = aws.ToString(found.Family), found.Cpu, found.Memory
	s.NetworkMode, s.ExecutionRoleArn, s.TaskRoleArn = resource.Text(found.NetworkMode), found.ExecutionRoleArn, found.TaskRoleArn
	s.RequiresCompatibilities, s.Volumes, s.RuntimePlatform, s.EphemeralStorage = nil, nil, nil, nil
	for _, it := range found.RequiresCompatibilities {
		s.RequiresCompatibilities = append(s.RequiresCompatibilities, string(it))
	}
	for _, it := range found.Volumes {
		volume := Volume{Name: aws.ToString(it.Name), ConfigureAtLaunch: it.ConfiguredAtLaunch}
		if it.Host != nil && aws.ToString(it.Host.SourcePath) != "" {
			volume.HostPath = it.Host.SourcePath
		}
		s.Volumes = append(s.Volumes, volume)
	}
	if p := found.RuntimePlatform; p != nil && (p.CpuArchitecture != "" || p.OperatingSystemFamily != "") {
		s.RuntimePlatform = &RuntimePlatform{
			CPUArchitecture: resource.Text(p.CpuArchitecture), OperatingSystemFamily: resource.Text(p.OperatingSystemFamily),
		}
	}
	if e := found.EphemeralStorage; e != nil {
		s.EphemeralStorage = &EphemeralStorage{SizeInGib: int(e.SizeInGiB)}
	}
	s.ContainerDefinitions, err = canonicalContainers(found.ContainerDefinitions, string(found.NetworkMode))
	if err != nil {
		return prior, fmt.Errorf("writing down the container definitions: %w", err)
	}
	s.Arn, s.Revision = aws.ToString(found.TaskDefinitionArn), int(found.Revision)
	s.ArnWithoutRevision = strings.TrimSuffix(s.Arn, fmt.Sprintf(":%d", s.Revision))
	s.Tags = tagMap(tags)
	s.TagsAll = s.Tags
	return s, nil
}

// findTaskDefinition describes a revision; a deregistered one is gone, though ECS shows it for ever.
func findTaskDefinition(ctx context.Context, c *resource.Cloud, name string) (*types.TaskDefinition, []types.Tag, error) {
	out, err := c.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: &name, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags},
	})
	if resource.Says(err, "ClientException", "Unable to describe task definition") {
		return nil, nil, resource.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	if out.TaskDefinition.Status != types.TaskDefinitionStatusActive {
		return nil, nil, resource.ErrNotFound
	}
	return out.TaskDefinition, out.Tags, nil
}

func deregisterTaskDefinition(ctx context.Context, c *resource.Cloud, id string, s TaskDefinitionState) error {
	name := s.Arn
	if name == "" {
		found, _, err := findTaskDefinition(ctx, c, id)
		if err != nil {
			return err
		}
		name = aws.ToString(found.TaskDefinitionArn)
	}
	_, err := c.ECS.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &name})
	if cloud.HasCode(err, "ClientException", "InvalidParameterException") {
		if _, _, gone := findTaskDefinition(ctx, c, name); resource.NotFound(gone) {
			return nil
		}
	}
	return err
}

// tasksMayAssume is an example's trust policy.
const tasksMayAssume = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",` +
	`"Principal":{"Service":"ecs-tasks.amazonaws.com"}}]}`

// exampleContainers has one container with something of everything that a hardened service sets.
var exampleContainers = resource.JSON([]map[string]any{{
	"name": "app", "image": "public.ecr.aws/docker/library/busybox:1.37", "essential": true, "user": "1000:1000",
	"privileged": false, "readonlyRootFilesystem": true, "stopTimeout": 60, "command": []string{"httpd", "-f", "-p", "8443"},
	"portMappings":    []map[string]any{{"containerPort": 8443}},
	"mountPoints":     []map[string]any{{"sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": false}},
	"linuxParameters": map[string]any{"initProcessEnabled": true, "capabilities": map[string]any{"add": []string{}, "drop": []string{"ALL"}}},
	"healthCheck":     map[string]any{"command": []string{"CMD-SHELL", "true"}, "startPeriod": 10},
	"logConfiguration": map[string]any{"logDriver": "awslogs", "options": map[string]string{
		"awslogs-group": "/ecs/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app", "mode": "non-blocking",
	}},
	"environment": []map[string]any{{"name": "TIER", "value": "payments"}, {"name": "PORT", "value": "8443"}},
	"secrets":     []map[string]any{{"name": "KEY", "valueFrom": "arn:aws:ssm:us-east-1:123456789012:parameter/key"}},
	"volumesFrom": []map[string]any{},
}})
