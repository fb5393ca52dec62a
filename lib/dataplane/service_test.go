package dataplane

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// told is a service as the API tells it, with deployments such as "2 web:2 IN_PROGRESS", the PRIMARY one first.
func told(desired int32, deployments ...string) ecstypes.Service {
	s := ecstypes.Service{
		ServiceName: aws.String("web"), ServiceArn: aws.String("arn:aws:ecs:us-east-1:1:service/payments/web"), Status: aws.String("ACTIVE"),
		DesiredCount: desired, DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
			MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(200),
			DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		},
	}
	for i, line := range deployments {
		words := strings.Fields(line)
		status := "ACTIVE"
		if i == 0 {
			status, s.TaskDefinition = "PRIMARY", &words[1]
		}
		s.Deployments = append(s.Deployments, ecstypes.Deployment{
			Id: &words[0], TaskDefinition: &words[1], Status: &status, RolloutState: ecstypes.DeploymentRolloutState(words[2]), CreatedAt: aws.Time(noon),
		})
	}
	return s
}

// in are the deployments of a service, the newest first, such as "2 IN_PROGRESS".
func (s *service) in() string {
	var all []string
	for _, d := range s.deployments {
		all = append(all, d.id+" "+string(d.state))
	}
	return strings.Join(all, ", ")
}

func TestADeploymentIsCompletedByItsLastTask(t *testing.T) {
	var s service
	s.follow(told(3, "1 web:1 IN_PROGRESS"), noon)
	s.settle(noon, 3, map[string]int{"1": 3}, 2)
	assert.Equal(t, "1 IN_PROGRESS", s.in())
	s.settle(noon, 3, map[string]int{"1": 3}, 3)
	assert.Equal(t, "1 COMPLETED", s.in())
	assert.Equal(t, "ECS deployment 1 completed.", s.primary().reason)
	assert.True(t, s.steady)
	require.Len(t, s.events, 2)
	assert.Equal(t, "(service web) has reached a steady state.", s.events[0].Message)

	s.settle(noon, 3, map[string]int{"1": 2}, 2)
	assert.False(t, s.steady, "a task has died")
	assert.Equal(t, "1 COMPLETED", s.in(), "which does not undo the deployment")

	s.follow(told(3, "2 web:2 IN_PROGRESS", "1 web:1 COMPLETED"), noon)
	s.settle(noon, 3, map[string]int{"1": 3, "2": 3}, 3)
	assert.Equal(t, "2 IN_PROGRESS, 1 COMPLETED", s.in(), "the old tasks still run")
	s.settle(noon, 3, map[string]int{"2": 3}, 3)
	assert.Equal(t, "2 COMPLETED", s.in())
	s.follow(told(3, "2 web:2 IN_PROGRESS", "1 web:1 COMPLETED"), noon)
	assert.Equal(t, "2 COMPLETED", s.in(), "what the API has not heard of yet does not come back")
}

func TestTheCircuitBreakerGoesBackToWhatWasCompleted(t *testing.T) {
	var s service
	s.follow(told(2, "1 web:1 COMPLETED"), noon)
	s.follow(told(2, "2 web:2 IN_PROGRESS", "1 web:1 COMPLETED"), noon)
	for range 2 {
		s.failedTask("2", noon, 10)
		s.trip(noon)
	}
	assert.Equal(t, "2 IN_PROGRESS, 1 COMPLETED", s.in(), "two are not enough")
	assert.True(t, s.wanted(noon).held, "it backs off")
	s.healthyTask("2")
	assert.Zero(t, s.primary().failed, "only tasks that fail one after another count")
	for range 3 {
		s.failedTask("2", noon, 10)
	}
	s.trip(noon)
	assert.Equal(t, "1 IN_PROGRESS, 2 FAILED", s.in())
	assert.Equal(t, "ECS deployment circuit breaker: rolling back to deploymentId 1.", s.primary().reason)
	assert.False(t, s.wanted(noon).held)
	s.follow(told(2, "2 web:2 IN_PROGRESS", "1 web:1 COMPLETED"), noon)
	assert.Equal(t, "1 IN_PROGRESS, 2 FAILED", s.in(), "what the API tells from before does not undo it")
	s.settle(noon, 2, map[string]int{"1": 2}, 2)
	assert.Equal(t, "1 COMPLETED", s.in())
}

func TestAFirstDeploymentThatFailsStaysFailed(t *testing.T) {
	var s service
	s.follow(told(2, "1 web:1 IN_PROGRESS"), noon)
	for range 3 {
		s.failedTask("1", noon, 10)
	}
	s.trip(noon)
	assert.Equal(t, "1 FAILED", s.in())
	assert.True(t, s.wanted(noon.Add(time.Hour)).held, "nothing is started any more")
	s.follow(told(2, "2 web:2 IN_PROGRESS", "1 web:1 FAILED"), noon)
	assert.False(t, s.wanted(noon.Add(time.Hour)).held, "but for another deployment")
}

func TestAServiceThatIsDeletedWantsNoTasks(t *testing.T) {
	var s service
	s.follow(told(2, "1 web:1 COMPLETED"), noon)
	s.gone = true
	assert.Zero(t, s.wanted(noon).desired)
	draining := told(2, "1 web:1 COMPLETED")
	draining.Status = aws.String("DRAINING")
	s.gone = false
	s.follow(draining, noon)
	assert.Zero(t, s.wanted(noon).desired)
}

func TestTheHealthOfAContainerIsJudgedAsDockerDoes(t *testing.T) {
	h := health{check: ecstypes.HealthCheck{Interval: aws.Int32(30), Retries: aws.Int32(2), StartPeriod: aws.Int32(60)}, status: ecstypes.HealthStatusUnknown}
	assert.Equal(t, startInterval, h.pause(time.Second), "sooner while it starts")
	h.note(false, 10*time.Second)
	h.note(false, 20*time.Second)
	assert.Equal(t, ecstypes.HealthStatusUnknown, h.status, "failures of the start period do not count")
	h.note(true, 30*time.Second)
	assert.Equal(t, ecstypes.HealthStatusHealthy, h.status)
	assert.Equal(t, 30*time.Second, h.pause(31*time.Second))
	h.note(false, 40*time.Second)
	assert.Equal(t, ecstypes.HealthStatusHealthy, h.status, "one of two")
	h.note(false, 50*time.Second)
	assert.Equal(t, ecstypes.HealthStatusUnhealthy, h.status, "after a success the start period is over")
	h.note(true, 55*time.Second)
	assert.Equal(t, ecstypes.HealthStatusHealthy, h.status)
}

func TestLocalhostOfAProbeIsTheTasksAddress(t *testing.T) {
	argv, err := probe([]string{"CMD", "curl", "https://localhost:8080/health"}, "127.10.1.2")
	require.NoError(t, err)
	assert.Equal(t, []string{"curl", "https://127.10.1.2:8080/health"}, argv)
	argv, err = probe([]string{"CMD-SHELL", "curl http://127.0.0.1 || exit 1"}, "127.10.1.2")
	require.NoError(t, err)
	assert.Equal(t, []string{"/bin/sh", "-c", "curl http://127.10.1.2 || exit 1"}, argv)
	for _, wrong := range [][]string{nil, {"CMD"}, {"NONE"}, {"curl", "x"}} {
		_, err := probe(wrong, "127.10.1.2")
		assert.Error(t, err, "%v", wrong)
	}
}

func TestNoContainerRunsAsRoot(t *testing.T) {
	for user, who := range map[string]identity{
		"10001:10001": {10001, 10001}, "1000": {1000, 1000}, "1000:2000": {1000, 2000},
		"": usualIdentity, "root": usualIdentity, "0": usualIdentity, "0:0": usualIdentity, "app:app": usualIdentity, "1000:0": {1000, 1000},
		"-1": usualIdentity, "99999999999": usualIdentity,
	} {
		assert.Equal(t, who, identityOf(user), user)
	}
}

func TestAddressesOfASubnetAreHandedOutOnceEach(t *testing.T) {
	subnet := ec2types.Subnet{SubnetId: aws.String("subnet-1"), CidrBlock: aws.String("10.0.1.0/28")}
	p, seen := newPool(), map[netip.Addr]bool{}
	for range 11 { // of sixteen, AWS keeps five
		address, err := p.take(subnet)
		require.NoError(t, err)
		require.False(t, seen[address], address)
		seen[address] = true
	}
	_, err := p.take(subnet)
	require.ErrorContains(t, err, "no free address")
	for _, kept := range []string{"10.0.1.0", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.15"} {
		assert.NotContains(t, seen, netip.MustParseAddr(kept))
	}
	p.release(netip.MustParseAddr("10.0.1.9"))
	again, err := p.take(subnet)
	require.NoError(t, err)
	assert.Equal(t, "10.0.1.9", again.String())
	_, err = p.take(ec2types.Subnet{SubnetId: aws.String("subnet-2"), CidrBlock: aws.String("not a range")})
	require.Error(t, err)
	assert.Equal(t, "127.10.1.9", (&addressRange{second: 10}).host(again))
}

func TestLinesAreCutNotLost(t *testing.T) {
	long := strings.Repeat("x", longestLine+5)
	var heard []string
	lines(strings.NewReader("one\n\ntwo\n"+long+"\nlast without an end"), func(line string) { heard = append(heard, line) })
	assert.Equal(t, []string{"one", "two", long[:longestLine], "xxxxx", "last without an end"}, heard)
}

func TestWhatIsLookedAtIsWhatHasChanged(t *testing.T) {
	w := newWatcher(nil)
	w.changes = map[string]int{"ecs": 1}
	assert.True(t, w.due(clusterAspect), "never seen")
	assert.False(t, w.due(clusterAspect), "nothing has changed")
	w.changes = map[string]int{"ecs": 2}
	assert.True(t, w.due(clusterAspect))
	w.changes, w.own = map[string]int{"ecs": 3}, map[string]int{"ecs": 1}
	assert.False(t, w.due(clusterAspect), "only what the plane itself has done")
	w.failed(clusterAspect)
	assert.True(t, w.due(clusterAspect), "what failed is tried again")
}
