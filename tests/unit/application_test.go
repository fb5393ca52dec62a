package unit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// containerJSON is a container definition as the tests read it; unknown fields are faults.
type containerJSON struct {
	Name, Image, User                             string
	Essential, Privileged, ReadonlyRootFilesystem bool
	StopTimeout                                   int
	PortMappings                                  []struct {
		ContainerPort, HostPort int
		Protocol                string
	}
	MountPoints []struct {
		SourceVolume, ContainerPath string
		ReadOnly                    bool
	}
	LinuxParameters struct {
		InitProcessEnabled bool
		Capabilities       struct{ Drop []string }
	}
	HealthCheck struct {
		Command                                 []string
		Interval, Timeout, Retries, StartPeriod int
	}
	LogConfiguration struct {
		LogDriver string
		Options   map[string]string
	}
	Environment []struct{ Name, Value string }
	Secrets     []struct{ Name, ValueFrom string }
}

func arnOf(name string) string { return "arn:aws:mock:us-east-1:123456789012:" + name }

func TestContainersRunWithoutPrivileges(t *testing.T) {
	r := deploy(t, nil)
	for service, image := range map[string]string{"payment-api": legalValues(nil)["paymentApiImage"], "job-processor": legalValues(nil)["jobProcessorImage"]} {
		task := r.one(t, service+"-task")
		definitions := decode[[]containerJSON](t, task, "containerDefinitions")
		same(t, "containers", len(definitions), 1)
		c := definitions[0]
		same(t, "container", []any{c.Name, c.Image, c.User, c.Essential, c.Privileged, c.ReadonlyRootFilesystem, c.StopTimeout, c.LinuxParameters.Capabilities.Drop},
			[]any{service, image, "10001:10001", true, false, true, 60, []string{"ALL"}})
		same(t, "mounts", fmt.Sprint(c.MountPoints), "[{tmp /tmp false}]")
		same(t, "volume", task.at(t, "volumes"), []any{map[string]any{"name": "tmp"}})
		same(t, "ports", fmt.Sprint(c.PortMappings), "[{8443 8443 tcp}]")
		same(t, "health", strings.Join(c.HealthCheck.Command, " "), "CMD curl --fail --silent --show-error --insecure https://localhost:8443/health")
		same(t, "log", c.LogConfiguration.Options, map[string]string{
			"awslogs-group": "/ecs/" + service + "-unit", "awslogs-region": "us-east-1", "awslogs-stream-prefix": service,
			"mode": "non-blocking", "max-buffer-size": "25m",
		})
		same(t, "task", []any{task.at(t, "networkMode"), task.at(t, "requiresCompatibilities"), task.at(t, "runtimePlatform")},
			[]any{"awsvpc", []string{"FARGATE"}, map[string]any{"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}})
	}
}

func TestConfigurationReachesContainersBySecretsAndParametersOnly(t *testing.T) {
	r := deploy(t, nil)
	for service, want := range map[string]struct{ environment, secrets []string }{
		"payment-api": {
			[]string{"CONTAINER_PORT=8443", "CONTAINER_PROTOCOL=HTTPS", "SERVICE_NAME=payment-api-unit"},
			[]string{
				"API_KEY<" + arnOf("payment-api-keys") + ":apiKey::",
				"API_RETRY_COUNT<" + arnOf("api-retry-count"), "API_TIMEOUT_SECONDS<" + arnOf("api-timeout-seconds"),
				"DATABASE_READER_URL<" + arnOf("payment-db-credentials") + ":readerConnectionString::",
				"DATABASE_URL<" + arnOf("payment-db-credentials") + ":writerConnectionString::",
				"QUEUE_URL<" + arnOf("queue-url"),
			},
		},
		"job-processor": {
			[]string{"ALERTS_TOPIC_ARN=" + arnOf("payment-alerts"), "CONTAINER_PORT=8443", "CONTAINER_PROTOCOL=HTTPS", "SERVICE_NAME=job-processor-unit"},
			[]string{
				"DATABASE_URL<" + arnOf("payment-db-credentials") + ":writerConnectionString::",
				"JOB_RETRY_COUNT<" + arnOf("job-retry-count"), "QUEUE_URL<" + arnOf("queue-url"),
			},
		},
	} {
		c := decode[[]containerJSON](t, r.one(t, service+"-task"), "containerDefinitions")[0]
		var environment, secrets []string
		for _, v := range c.Environment {
			environment = append(environment, v.Name+"="+v.Value)
		}
		for _, v := range c.Secrets {
			secrets = append(secrets, v.Name+"<"+v.ValueFrom)
		}
		slices.Sort(environment)
		slices.Sort(secrets)
		same(t, service+" environment", environment, want.environment)
		same(t, service+" secrets", secrets, want.secrets)
	}
}

func TestTheContainersProtocolGoesAllTheWay(t *testing.T) {
	r := deploy(t, map[string]string{"containerProtocol": "HTTP", "containerPort": "8080"})
	for _, service := range []string{"payment-api", "job-processor"} {
		group := r.one(t, service+"-tg")
		same(t, "target group", []any{group.at(t, "protocol"), group.at(t, "port"), group.at(t, "healthCheck", "protocol")}, []any{"HTTP", 8080, "HTTP"})
		c := decode[[]containerJSON](t, r.one(t, service+"-task"), "containerDefinitions")[0]
		same(t, "health", c.HealthCheck.Command[len(c.HealthCheck.Command)-1], "http://localhost:8080/health")
		same(t, "service port", r.one(t, service).at(t, "loadBalancers", 0, "containerPort"), 8080)
	}
}

func TestServicesAreSpreadPrivateAndRollBack(t *testing.T) {
	r := deploy(t, map[string]string{"apiDesiredCount": "4"})
	for service, count := range map[string]int{"payment-api": 4, "job-processor": 2} {
		d := r.one(t, service)
		delete(d.plain, "tags")
		same(t, service, d.plain, map[string]any{
			"name": service + "-unit", "cluster": arnOf("ecs-cluster"), "taskDefinition": arnOf(service + "-task"),
			"desiredCount": count, "launchType": "FARGATE",
			"networkConfiguration": map[string]any{
				"subnets":        []string{"private-subnet-1-id", "private-subnet-2-id", "private-subnet-3-id"},
				"securityGroups": []string{service + "-sg-id"}, "assignPublicIp": false,
			},
			"loadBalancers":            []any{map[string]any{"targetGroupArn": arnOf(service + "-tg"), "containerName": service, "containerPort": 8443}},
			"deploymentCircuitBreaker": map[string]any{"enable": true, "rollback": true},

			"deploymentMinimumHealthyPercent": 100, "deploymentMaximumPercent": 200,
			"availabilityZoneRebalancing": "ENABLED", "healthCheckGracePeriodSeconds": 60,
			"enableEcsManagedTags": true, "propagateTags": "SERVICE",
		})
		same(t, "ignored", d.request.GetIgnoreChanges(), []string{"desiredCount"})
	}
	cluster := r.one(t, "ecs-cluster")
	same(t, "insights", cluster.at(t, "settings"), []any{map[string]any{"name": "containerInsights", "value": "enabled"}})
	same(t, "capacity", r.one(t, "ecs-capacity-providers").at(t, "capacityProviders"), []string{"FARGATE"})
}

func TestTaskSizesAreThoseConfigured(t *testing.T) {
	r := deploy(t, map[string]string{"apiCpu": "2048", "apiMemory": "4096"})
	api, jobs := r.one(t, "payment-api-task"), r.one(t, "job-processor-task")
	same(t, "sizes", []any{api.at(t, "cpu"), api.at(t, "memory"), jobs.at(t, "cpu"), jobs.at(t, "memory")}, []any{"2048", "4096", "512", "1024"})
}

func TestBothServicesScaleOnCpuAndJobsAlsoOnTheirBacklog(t *testing.T) {
	r := deploy(t, map[string]string{"cpuTargetPercent": "55", "jobMaxCount": "9"})
	for service, bounds := range map[string][2]int{"payment-api": {3, 12}, "job-processor": {2, 9}} {
		target := r.one(t, service+"-scaling-target")
		same(t, "target", []any{target.at(t, "resourceId"), target.at(t, "minCapacity"), target.at(t, "maxCapacity"), target.at(t, "scalableDimension"), target.at(t, "serviceNamespace")},
			[]any{"service/ecs-cluster-unit/" + service + "-unit", bounds[0], bounds[1], "ecs:service:DesiredCount", "ecs"})
		tracking := "targetTrackingScalingPolicyConfiguration"
		policy := r.one(t, service+"-cpu-scaling")
		same(t, "policy", []any{policy.at(t, "policyType"), policy.at(t, tracking, "targetValue"), policy.at(t, tracking, "predefinedMetricSpecification", "predefinedMetricType")},
			[]any{"TargetTrackingScaling", 55, "ECSServiceAverageCPUUtilization"})
	}
	policies := r.ofType("aws:appautoscaling/policy:Policy")
	same(t, "policies", len(policies), 3)
	backlog := r.one(t, "job-processor-backlog-scaling")
	metrics := []any{"targetTrackingScalingPolicyConfiguration", "customizedMetricSpecification", "metrics"}
	same(t, "expression", backlog.at(t, append(metrics, 2, "expression")...), "waiting / running")
	var returned []bool
	for i := range 3 {
		value, _ := backlog.at(t, append(metrics, i, "returnData")...).(bool)
		returned = append(returned, value)
	}
	same(t, "returned", returned, []bool{false, false, true})
	same(t, "queue", backlog.at(t, append(metrics, 0, "metricStat", "metric", "dimensions", 0)...), map[string]any{"name": "QueueName", "value": "payment-jobs-unit"})
}
