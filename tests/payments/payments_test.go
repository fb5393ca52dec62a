// Package payments makes payments through a stack that is deployed, run by the data plane and broken all the while, and asks its
// database what became of them.
package payments

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/dataplane"
	"tapstack/lib/load"
	"tapstack/lib/process/processtest"
	"tapstack/lib/session"
	"tapstack/tests/reference"
)

// variable is how many payments are made: make test-payments and make torture-payments set it.
const variable = "TAPSTACK_PAYMENTS"

// rate is how many payments are begun a second: well below what two cores can take that lose the database every three seconds, so that
// what is tried is loss and not load.
const rate = 50

// inFlight are begun at once, and as many more as are answered.
const inFlight = 1300

// controlled is how long payments are made with a processor that deletes first.
const controlled = 6 * time.Second

const processor = "job-processor"

// between is the time from one kill to the next.
const between = time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	reference.Clean()
	os.Exit(code)
}

// TestPayments makes payments through one deployed stack: first many at once, then some while it is broken.
func TestPayments(t *testing.T) {
	processtest.SkipIfShort(t)
	count, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		t.Skipf("%s is not set: make test-payments makes some payments, make torture-payments 10,000", variable)
	}
	run, python := map[string][]string{}, reference.Python(t)
	if python != nil { // it deletes first once it is told
		run[processor] = python("deletes_first.py", append([]string{"1"}, reference.DataPlane(t).Run[processor]...)...)
	}
	ctx, s := reference.Deployed(t, run, map[string]string{"wafRateLimit": "2000000000"}) // all merchants come from one address here
	require.True(t, t.Run("a thousand in flight", func(t *testing.T) { aThousandAreInFlight(t, ctx, s) }))
	t.Run("none is lost or settled twice", func(t *testing.T) { noneIsLostOrSettledTwice(t, ctx, s, count) })
	t.Run("a processor that deletes first loses some", func(t *testing.T) {
		if python == nil {
			t.Skip(reference.NoPython)
		}
		someAreLost(t, ctx, s)
	})
}

// aThousandAreInFlight begins more payments than the stack takes, so that the load balancer has more than a thousand in hand, and
// wants each of them acknowledged at the first try.
func aThousandAreInFlight(t *testing.T, ctx context.Context, s *session.Session) { //nolint:revive // helper, as in testify
	t.Helper()
	api, err := s.PaymentAPI(ctx, "", "")
	require.NoError(t, err)
	result, err := load.Run(ctx, load.Options{API: api, Rate: 2000, Duration: 4 * time.Second, Arrivals: load.Fixed, InFlight: inFlight, Merchants: 20})
	require.NoError(t, err)
	fmt.Printf("%d payments in flight at once, %.0f on average over %.0f s; %d sent: %v; latency in ms: p50 %.0f, p99 %.0f\n",
		result.MostInFlight, result.MeanInFlight, result.Seconds, result.Sent, result.Seen, result.Latency.P50, result.Latency.P99)
	require.Equal(t, inFlight, result.MostInFlight)
	require.GreaterOrEqual(t, result.MeanInFlight, 1000.0, "they must be held, not only reached")
	require.Equal(t, map[string]int{"201": result.Sent}, result.Seen)
}

// noneIsLostOrSettledTwice kills a task of the API, a task of the processor and the writer of the database in turn.
func noneIsLostOrSettledTwice(t *testing.T, ctx context.Context, s *session.Session, count int) { //nolint:revive // the same
	t.Helper()
	during := time.Duration(float64(count) / rate * float64(time.Second))
	result, err := s.Payments(ctx, load.Options{Rate: rate, Duration: during, Arrivals: load.Fixed, Merchants: 8}, kills(during))
	require.NoError(t, err)
	fmt.Printf("%d payments at %d a second with a kill every %s: %s; latency in ms: p50 %.0f, p99 %.0f, max %.0f\n",
		count, rate, between, result, result.Latency.P50, result.Latency.P99, result.Latency.Max)
	require.Equal(t, count, result.Planned)
	require.Equal(t, count, result.Acknowledged, "every payment must be acknowledged in the end")
	require.True(t, result.Settlement.Holds(), "%s", result.Settlement)
	require.GreaterOrEqual(t, result.Settlement.Accepted, count)
}

// kills are one every so often, of each kind in turn.
func kills(during time.Duration) []session.Disturbance {
	var all []session.Disturbance
	for at, i := between, 0; at < during; at, i = at+between, i+1 {
		victim := []string{"payment-api", processor, session.DatabaseWriter}[i%3]
		all = append(all, session.Disturbance{Name: "killing " + victim, At: at, Do: func(s *session.Session, ctx context.Context) error { //nolint:revive // a method
			if err := s.Plane.Kill(ctx, victim); !errors.Is(err, dataplane.ErrNoTask) {
				return err
			}
			return nil // the tasks before it are not replaced yet
		}})
	}
	return all
}

// someAreLost has a processor that deletes its messages first: if none were lost then, the proof would prove nothing.
func someAreLost(t *testing.T, ctx context.Context, s *session.Session) { //nolint:revive // the same
	t.Helper()
	deployDeletingFirst(ctx, t, s)
	lost := underKills(ctx, t, s, processor, between/2, controlled)
	fmt.Printf("with a processor that deletes first: %s\n", lost)
	require.Equal(t, lost.Planned, lost.Acknowledged, "the API does as before")
	require.Less(t, lost.Settlement.Settled, lost.Settlement.Accepted, "what a processor had in hand that deletes first, and was killed, is lost")
	require.False(t, lost.Settlement.Holds(), "%s", lost.Settlement)
}

// underKills makes payments while one victim is killed every so often, and waits for a moment only until all is worked off.
func underKills(ctx context.Context, t *testing.T, s *session.Session, victim string, every, during time.Duration) (result session.PaymentsResult) {
	t.Helper()
	api, err := s.PaymentAPI(ctx, "", "")
	require.NoError(t, err)
	killed := 0
	var killing sync.WaitGroup
	killing.Go(func() {
		kills := time.NewTicker(every)
		defer kills.Stop()
		for end := time.Now().Add(during - every); time.Now().Before(end); {
			<-kills.C
			if s.Plane.Kill(ctx, victim) == nil { // or all have just been killed
				killed++
			}
		}
	})
	result.Result, err = load.Run(ctx, load.Options{API: api, Rate: rate, Duration: during, Arrivals: load.Fixed, Merchants: 8, Retries: 20})
	killing.Wait()
	require.NoError(t, err)
	require.Positive(t, killed)
	require.Eventually(t, func() bool { return len(waiting(ctx, t, s)) == 0 }, time.Minute, 200*time.Millisecond, "jobs are left that might still be worked off")
	result.Settlement, err = s.Settlement(ctx, result.Payments, 3*time.Second)
	require.NoError(t, err)
	return result
}

// deployDeletingFirst deploys a revision of the processor that deletes its messages first.
func deployDeletingFirst(ctx context.Context, t *testing.T, s *session.Session) {
	t.Helper()
	clients, outputs := cloud.NewClients(s.Cloud.Config), outputsOf(ctx, t, s)
	cluster, service := outputs[lib.OutputEcsClusterName], outputs[lib.OutputJobProcessorServiceName]
	described := func() types.Service {
		out, err := clients.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{service}})
		require.NoError(t, err)
		require.Len(t, out.Services, 1)
		return out.Services[0]
	}
	now, err := clients.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: described().TaskDefinition})
	require.NoError(t, err)
	td := now.TaskDefinition
	container := &td.ContainerDefinitions[0]
	container.Environment = append(container.Environment, types.KeyValuePair{Name: aws.String("DELETES_FIRST"), Value: aws.String("1")})
	made, err := clients.ECS.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: td.Family, ContainerDefinitions: td.ContainerDefinitions, Cpu: td.Cpu, Memory: td.Memory, NetworkMode: td.NetworkMode,
		ExecutionRoleArn: td.ExecutionRoleArn, TaskRoleArn: td.TaskRoleArn, RequiresCompatibilities: td.RequiresCompatibilities, Volumes: td.Volumes,
	})
	require.NoError(t, err)
	revision := made.TaskDefinition.TaskDefinitionArn
	t.Cleanup(func() { // it is nobody else's to remove
		_, err := clients.ECS.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: revision})
		require.NoError(t, err)
	})
	_, err = clients.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &cluster, Service: &service, TaskDefinition: revision})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		deployments := described().Deployments
		return len(deployments) == 1 && aws.ToString(deployments[0].TaskDefinition) == *revision && deployments[0].RolloutState == types.DeploymentRolloutStateCompleted
	}, time.Minute, 200*time.Millisecond, "the revision is not deployed")
}

// waiting are the jobs that are still to be worked off: how many the outbox and the queue have.
func waiting(ctx context.Context, t *testing.T, s *session.Session) map[string]string {
	t.Helper()
	left := map[string]string{}
	database, err := s.Database(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, database.Close(ctx)) }()
	var outbox int
	require.NoError(t, database.QueryRow(ctx, "SELECT count(*) FROM outbox").Scan(&outbox))
	if outbox > 0 {
		left["outbox"] = strconv.Itoa(outbox)
	}
	queue := outputsOf(ctx, t, s)[lib.OutputQueueURL]
	names := []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible}
	out, err := cloud.NewClients(s.Cloud.Config).SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: names})
	require.NoError(t, err)
	for name, count := range out.Attributes {
		if count != "0" {
			left[name] = count
		}
	}
	return left
}

func outputsOf(ctx context.Context, t *testing.T, s *session.Session) map[string]string {
	t.Helper()
	outputs, err := s.Outputs(ctx)
	require.NoError(t, err)
	texts := map[string]string{}
	for name, value := range outputs {
		texts[name], _ = value.(string)
	}
	return texts
}
