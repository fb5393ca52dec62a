package verify

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/assert"

	"tapstack/lib"
)

// rolling is two services that get where an update sends them as soon as a client has asked. It gets what is said for meanwhile.
type rolling struct {
	meanwhile says // nothing in particular when its status is 0
	stuck     bool // an update never ends
	replaces  bool // a failover costs tasks
	unhealthy bool // no task that is added becomes a healthy target
	refuse    bool

	busy        atomic.Bool
	desired     map[string]int32
	deployments int
	asked       int // for the health of targets
	updates     []string
	failedOver  bool
}

func (r *rolling) service(name string) ecstypes.Service {
	svc := ecstypes.Service{
		LoadBalancers: []ecstypes.LoadBalancer{{TargetGroupArn: aws.String("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/" + name)}},
		ServiceName:   &name, ClusterArn: aws.String("arn:aws:ecs:us-east-1:123456789012:cluster/ecs-cluster-dev"),
		DesiredCount: r.desired[name], RunningCount: r.desired[name],
		Deployments: []ecstypes.Deployment{{
			Id: aws.String(fmt.Sprint("ecs-svc/", r.deployments)), Status: aws.String("PRIMARY"), RolloutState: ecstypes.DeploymentRolloutStateCompleted,
		}},
	}
	if r.busy.Load() {
		svc.RunningCount, svc.Deployments[0].RolloutState = 0, ecstypes.DeploymentRolloutStateInProgress
	}
	return svc
}

// api is the stack's behind a load balancer.
func (r *rolling) api(t *testing.T) (acts, *stage) {
	t.Helper()
	r.desired = map[string]int32{"payment-api-dev": 3, "job-processor-dev": 2}
	d := soundALB()
	d.while = func() (says, bool) {
		busy := r.busy.Load()
		if !r.stuck {
			r.busy.Store(false)
		}
		return r.meanwhile, busy && r.meanwhile.status != 0
	}
	all, network := d.open(t)
	maps.Copy(all, acts{
		"DescribeServices": func(in any) (any, error) {
			out := &ecs.DescribeServicesOutput{}
			for _, name := range in.(*ecs.DescribeServicesInput).Services {
				out.Services = append(out.Services, r.service(name))
			}
			return out, nil
		},
		"UpdateService": func(in any) (any, error) {
			update := in.(*ecs.UpdateServiceInput)
			name := aws.ToString(update.Service)
			if r.refuse {
				return nil, errors.New("AccessDenied")
			}
			r.updates = append(r.updates, fmt.Sprintf("%s %t %d", name, update.ForceNewDeployment, aws.ToInt32(update.DesiredCount)))
			if update.DesiredCount != nil {
				r.desired[name] = *update.DesiredCount
			}
			r.deployments++
			r.busy.Store(true)
			svc := r.service(name)
			return &ecs.UpdateServiceOutput{Service: &svc}, nil
		},
		"DescribeTargetHealth": func(in any) (any, error) {
			r.asked++
			healthy := slices.Repeat([]elbtypes.TargetHealthDescription{{TargetHealth: &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumHealthy}}}, 4)
			if r.unhealthy || r.asked == 1 {
				healthy[0].TargetHealth.State, healthy = elbtypes.TargetHealthStateEnumInitial, healthy[:1]
			}
			return &elb.DescribeTargetHealthOutput{TargetHealthDescriptions: healthy}, nil
		},
		"ListTasks": func(any) (any, error) {
			out := &ecs.ListTasksOutput{TaskArns: []string{"arn:aws:ecs:us-east-1:123456789012:task/1"}}
			if r.failedOver && r.replaces {
				out.TaskArns = []string{"arn:aws:ecs:us-east-1:123456789012:task/2"}
			}
			return out, nil
		},
	})
	return all, network
}

func (r *rolling) outputs() map[string]any {
	return map[string]any{
		lib.OutputPaymentAPIServiceName: "payment-api-dev",
		lib.OutputConfiguration: map[string]string{
			lib.ConfigEnvironmentSuffix: "dev", lib.ConfigPaymentAPIImage: "registry.example.com/a:1", lib.ConfigJobProcessorImage: "registry.example.com/j:1",
			lib.ConfigAlertEmail: "ops@example.com",
		},
	}
}

func TestWhatClientsMeetWhileTasksComeAndGo(t *testing.T) {
	rollout, scaling := "application.rollout-serves", "application.scale-in-serves"
	forced := []string{"payment-api-dev true 0", "job-processor-dev true 0"}
	there := []string{"payment-api-dev false 4", "job-processor-dev false 3"}
	back := []string{"payment-api-dev false 3", "job-processor-dev false 2"}
	for what, c := range map[string]struct {
		stack   *rolling
		check   string
		reason  string
		updates []string
	}{
		"a rollout without a loss":  {&rolling{}, rollout, "", forced},
		"a rollout that loses some": {&rolling{meanwhile: says{status: 502, balancer: true}}, rollout, "× 502 of the load balancer", forced},
		"a service that fails":      {&rolling{meanwhile: says{status: 500}}, rollout, "× 500 of a service", forced},
		"a rollout that never ends": {&rolling{stuck: true}, rollout, "is not steady: 0 of 3 tasks run, in 1 deployments; IN_PROGRESS", forced},
		"a rollout that is refused": {&rolling{refuse: true}, rollout, "updating the service payment-api-dev: operation error ECS: UpdateService, AccessDenied", nil},
		"scaling without a loss":    {&rolling{}, scaling, "", append(there, back...)},
		"scaling that loses some":   {&rolling{meanwhile: says{status: 503, balancer: true}}, scaling, "× 503 of the load balancer", append(there, back...)},
		"scaling of no use":         {&rolling{unhealthy: true}, scaling, "service payment-api-dev runs 4 tasks, of which 0 are healthy targets", append(there, back...)},
		"scaling that never ends":   {&rolling{stuck: true}, scaling, "is not steady", append(there, back...)},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := c.stack
			cloud, network := r.api(t)
			report := cloud.with(r.outputs()).run(t, network, c.check)
			if c.reason == "" {
				assert.Empty(t, reds(t, report))
			} else {
				assert.Equal(t, []string{c.check}, reds(t, report))
				assert.Contains(t, report.Results[0].Reason, c.reason)
			}
			assert.Equal(t, strings.Join(c.updates, ", "), strings.Join(r.updates, ", "), "what was done, and undone")
		})
	}
}

func TestAFailoverCostsClientsNothing(t *testing.T) {
	for what, c := range map[string]struct {
		stack  *rolling
		reason string
	}{
		"sound":               {&rolling{}, ""},
		"tasks are replaced":  {&rolling{replaces: true}, "tasks replaced meanwhile"},
		"clients meet errors": {&rolling{meanwhile: says{status: 500}}, "× 500 of a service"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r, a := c.stack, &aurora{instances: 3}
			cloud, network := r.api(t)
			hosts := a.api()
			network.hosts = a.hosts
			a.stage = network
			interfaces := append(albInterfaces(), databaseInterface())
			maps.Copy(cloud, hosts)
			cloud["DescribeNetworkInterfaces"] = showing(interfaces...)
			failOver := cloud["FailoverDBCluster"].(func(any) (any, error))
			cloud["FailoverDBCluster"] = func(in any) (any, error) {
				if r.failedOver = true; a.failovers == 0 {
					r.busy.Store(true)
				}
				return failOver(in)
			}
			report := cloud.with(r.outputs()).run(t, network, "database.failover-serves")
			if c.reason == "" {
				assert.Empty(t, reds(t, report))
			} else {
				assert.Equal(t, []string{"database.failover-serves"}, reds(t, report))
				assert.Contains(t, report.Results[0].Reason, c.reason)
			}
			assert.Equal(t, 2, a.failovers)
		})
	}
}

func TestAFirewallThatLetsFewThroughLeavesNothingToWatch(t *testing.T) {
	r := &rolling{}
	cloud, network := r.api(t)
	outputs := r.outputs()
	outputs[lib.OutputConfiguration].(map[string]string)["wafRateLimit"] = "50"
	report := cloud.with(outputs).run(t, network, "application.rollout-serves")
	assert.Equal(t, 1, report.Counts.NotObservable)
	assert.Empty(t, r.updates, "nothing is done for nothing")
}

func TestLossesAreToldByWhatTheyMet(t *testing.T) {
	assert.Equal(t, "none of 40", traffic{sent: 40}.String())
	assert.Equal(t, "3 of 40: 2× 502 of the load balancer, 1× connection reset by peer",
		traffic{sent: 40, lost: map[string]int{"502 of the load balancer": 2, "connection reset by peer": 1}}.String())
}
