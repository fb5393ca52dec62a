//go:build linux

package dataplane_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/dataplane"
)

// work is a slow worker: it takes 100 ms for each message of QUEUE_URL. Told to end, it finishes the one that it has.
func work() int {
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	loaded, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	client, queue := cloud.NewClients(loaded).SQS, aws.String(os.Getenv("QUEUE_URL"))
	for ended.Err() == nil {
		got, err := client.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 1, VisibilityTimeout: 120})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		for _, m := range got.Messages {
			time.Sleep(100 * time.Millisecond)
			fmt.Println("worked off", *m.Body)
			if _, err := client.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
				fmt.Println(err)
				return 1
			}
		}
	}
	return 0
}

// burn takes so many milliseconds of CPU time.
func burn(_ http.ResponseWriter, r *http.Request) {
	wanted, _ := strconv.Atoi(r.URL.Query().Get("ms"))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	spent := func() time.Duration {
		var used syscall.Rusage
		_ = syscall.Getrusage(1, &used) // RUSAGE_THREAD
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	for began := spent(); spent()-began < time.Duration(wanted)*time.Millisecond; {
	}
}

const least, most = 2, 5

// scaled makes a service of a container of its name, between least and most tasks, and gives it a policy.
func (s *stage) scaled(name string, policy scalingtypes.TargetTrackingScalingPolicyConfiguration, environment map[string]string) {
	s.t.Helper()
	ctx := s.t.Context()
	var variables []ecstypes.KeyValuePair
	for _, variable := range slices.Sorted(maps.Keys(environment)) {
		variables = append(variables, ecstypes.KeyValuePair{Name: &variable, Value: aws.String(environment[variable])})
	}
	defined, err := s.ECS.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: &name, NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: &name, Image: &name, Environment: variables,
			LogConfiguration: &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": logGroup, "awslogs-region": "us-east-1", "awslogs-stream-prefix": name,
			}},
		}},
	})
	require.NoError(s.t, err)
	_, err = s.ECS.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: &s.cluster, ServiceName: &name, TaskDefinition: defined.TaskDefinition.TaskDefinitionArn, DesiredCount: aws.Int32(least), LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: s.subnets, SecurityGroups: []string{s.group}}},
	})
	require.NoError(s.t, err)
	resource := aws.String("service/" + s.cluster + "/" + name)
	_, err = s.AutoScaling.RegisterScalableTarget(ctx, &applicationautoscaling.RegisterScalableTargetInput{
		ServiceNamespace: scalingtypes.ServiceNamespaceEcs, ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount, ResourceId: resource,
		MinCapacity: aws.Int32(least), MaxCapacity: aws.Int32(most),
	})
	require.NoError(s.t, err)
	policy.ScaleOutCooldown, policy.ScaleInCooldown = aws.Int32(60), aws.Int32(300)
	_, err = s.AutoScaling.PutScalingPolicy(ctx, &applicationautoscaling.PutScalingPolicyInput{
		ServiceNamespace: scalingtypes.ServiceNamespaceEcs, ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount, ResourceId: resource,
		PolicyName: &name, PolicyType: scalingtypes.PolicyTypeTargetTrackingScaling, TargetTrackingScalingPolicyConfiguration: &policy,
	})
	require.NoError(s.t, err)
}

// counts are a service's as the API tells them.
func (s *stage) counts(name string) (desired, running int) {
	s.t.Helper()
	out, err := s.ECS.DescribeServices(s.t.Context(), &ecs.DescribeServicesInput{Cluster: &s.cluster, Services: []string{name}})
	require.NoError(s.t, err)
	require.Len(s.t, out.Services, 1)
	return int(out.Services[0].DesiredCount), int(out.Services[0].RunningCount)
}

// reaches waits until a service has so many tasks, of which there are never too many nor too few.
func (s *stage) reaches(name string, wanted int) {
	s.t.Helper()
	began := time.Now()
	for last := 0; ; {
		desired, running := s.counts(name)
		require.GreaterOrEqual(s.t, desired, least, "%s: never below the least", name)
		require.LessOrEqual(s.t, max(desired, running), most, "%s: never above the most", name)
		if desired != last {
			s.t.Logf("%s: %d desired, %d running after %.1f s", name, desired, running, time.Since(began).Seconds())
			last = desired
		}
		if desired == wanted && running == wanted {
			return
		}
		require.Less(s.t, time.Since(began), 50*time.Second, "%s has %d tasks of %d desired, and should come to %d", name, running, desired, wanted)
		select {
		case <-s.t.Context().Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// hosts are where a service's tasks run, by their zones.
func (s *stage) hosts(name string) map[string][]string {
	by := map[string][]string{}
	for _, task := range s.plane.Status().Tasks {
		if task.Service == name && task.LastStatus == "RUNNING" {
			by[task.Zone] = append(by[task.Zone], task.Host)
		}
	}
	return by
}

// send sends messages of these numbers.
func (s *stage) send(queue *string, from, to int) {
	for ; from < to; from += 10 {
		var entries []sqstypes.SendMessageBatchRequestEntry
		for n := from; n < min(from+10, to); n++ {
			entries = append(entries, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(n)), MessageBody: aws.String(strconv.Itoa(n))})
		}
		_, err := s.SQS.SendMessageBatch(s.t.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: entries})
		if s.t.Context().Err() == nil {
			assert.NoError(s.t, err)
		}
	}
}

// every does something again and again until it is told to stop.
func every(pause time.Duration, do func(n int)) (stop func()) {
	ended := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-ended:
				return
			case <-ticker.C:
				do(n)
			}
		}
	})
	return sync.OnceFunc(func() { close(ended); running.Wait() })
}

func TestServicesScaleOutUnderLoadAndInAfterIt(t *testing.T) {
	s := newStage(t, func(o *dataplane.Options) {
		o.Speed = 100
		o.Run = map[string][]string{"api": {os.Args[0], asContainer}, "jobs": {os.Args[0], asContainer, "work"}}
	})
	ctx := t.Context()
	made, err := s.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("jobs")})
	require.NoError(t, err)
	queue := made.QueueUrl
	metric := func(id, namespace, name string, dimensions ...scalingtypes.TargetTrackingMetricDimension) scalingtypes.TargetTrackingMetricDataQuery {
		return scalingtypes.TargetTrackingMetricDataQuery{Id: &id, ReturnData: aws.Bool(false), MetricStat: &scalingtypes.TargetTrackingMetricStat{
			Stat: aws.String("Average"), Metric: &scalingtypes.TargetTrackingMetric{Namespace: &namespace, MetricName: &name, Dimensions: dimensions},
		}}
	}
	dimension := func(name, value string) scalingtypes.TargetTrackingMetricDimension {
		return scalingtypes.TargetTrackingMetricDimension{Name: &name, Value: &value}
	}
	s.scaled("jobs", scalingtypes.TargetTrackingScalingPolicyConfiguration{
		TargetValue: aws.Float64(10), CustomizedMetricSpecification: &scalingtypes.CustomizedMetricSpecification{Metrics: []scalingtypes.TargetTrackingMetricDataQuery{
			metric("waiting", "AWS/SQS", "ApproximateNumberOfMessagesVisible", dimension("QueueName", "jobs")),
			metric("running", "ECS/ContainerInsights", "RunningTaskCount", dimension("ClusterName", s.cluster), dimension("ServiceName", "jobs")),
			{Id: aws.String("backlog"), Expression: aws.String("waiting / running"), ReturnData: aws.Bool(true)},
		}},
	}, map[string]string{"QUEUE_URL": *queue})
	s.scaled("api", scalingtypes.TargetTrackingScalingPolicyConfiguration{
		TargetValue: aws.Float64(25), PredefinedMetricSpecification: &scalingtypes.PredefinedMetricSpecification{PredefinedMetricType: scalingtypes.MetricTypeECSServiceAverageCPUUtilization},
	}, map[string]string{"CONTAINER_PORT": "8080"})
	s.reaches("jobs", least)
	s.reaches("api", least)

	// More messages than the tasks can work off, and 0.4 of a core of work, where two tasks should take an eighth of one.
	const backlog = 250
	s.send(queue, 0, backlog)
	stopBurning := every(20*time.Millisecond, func(n int) {
		hosts := slices.Concat(slices.Collect(maps.Values(s.hosts("api")))...)
		if len(hosts) == 0 {
			return
		}
		slices.Sort(hosts)
		go func() {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+hosts[n%len(hosts)]+":8080/burn?ms=8", http.NoBody)
			if err != nil {
				return
			}
			if response, err := http.DefaultClient.Do(request); err == nil {
				_ = response.Body.Close()
			}
		}()
	})
	defer stopBurning()
	s.reaches("jobs", most)
	assert.Len(t, s.hosts("jobs"), 3, "the tasks are spread over the zones")
	s.reaches("api", most)
	assert.Len(t, s.hosts("api"), 3, "the tasks are spread over the zones")
	stopBurning()

	// A task that is taken away has work in its hands: few messages go on coming while the service is scaled in.
	sent := backlog
	stopSending := every(200*time.Millisecond, func(int) { s.send(queue, sent, sent+1); sent++ })
	defer stopSending()
	s.reaches("jobs", least)
	s.reaches("api", least)
	stopSending()

	var worked map[string]int
	require.Eventually(t, func() bool {
		worked = s.logged("worked off ")
		return len(worked) == sent
	}, 30*time.Second, 200*time.Millisecond, "each of %d messages is worked off, long before it would be seen again", sent)
	for message, times := range worked {
		assert.Equal(t, 1, times, "message %s", message)
	}
}

// logged counts what follows a beginning of lines that tasks have printed.
func (s *stage) logged(prefix string) map[string]int {
	found := map[string]int{}
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(s.Logs, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(logGroup)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			return found
		}
		for _, e := range page.Events {
			if rest, is := strings.CutPrefix(aws.ToString(e.Message), prefix); is {
				found[rest]++
			}
		}
	}
	return found
}
