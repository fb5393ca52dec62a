package ecs

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	p "github.com/pulumi/pulumi-go-provider"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// firstSign is how long a cloud that starts tasks may take to show the first sign of one: ECS does within seconds.
const firstSign = 30 * time.Second

// awaitSteady waits as the official provider does (Terraform AWS provider 5.x, statusServiceWaitForStable): until the
// service is settled. An emulator that starts no tasks would never get there: nothing is to be waited for where nothing shows a
// task, and the engine tells so.
func awaitSteady(ctx context.Context, c *resource.Cloud, id, cluster string, limit time.Duration) error {
	var last described
	var startsTasks bool
	began := time.Now()
	err := resource.PollThere(ctx, "service "+id+" is steady", limit, func(ctx context.Context) (bool, error) {
		found, err := describeService(ctx, c, id, cluster)
		if err != nil || aws.ToString(found.Status) != statusActive {
			return false, err
		}
		last = found
		if cloud.Settled(found.Service) {
			return true, nil
		}
		if startsTasks {
			return false, nil
		}
		startsTasks, err = showsTasks(ctx, c, found, cluster)
		if err == nil && !startsTasks && time.Since(began) > firstSign {
			p.GetLogger(ctx).Warningf("service %s: nothing shows that this cloud starts tasks, so they are not waited for", id)
			return true, nil
		}
		return false, err
	})
	if err != nil && last.Status != nil {
		return fmt.Errorf("%w: %s", err, cloud.Progress(last.Service))
	}
	return err
}

// showsTasks tells a cloud that starts no tasks from one whose tasks are slow, or fail.
func showsTasks(ctx context.Context, c *resource.Cloud, service described, cluster string) (bool, error) {
	failed := int32(0)
	for _, it := range service.Deployments {
		failed += it.FailedTasks
	}
	if failed > 0 || service.RunningCount > 0 || len(service.Events) > 0 {
		return true, nil
	}
	out, err := c.ECS.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cluster, ServiceName: service.ServiceName})
	return err == nil && len(out.TaskArns) > 0, err
}
