package target_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/target"
)

// doorway is a local cloud with a network and an ECS cluster, and the door to it.
type doorway struct {
	*cloud.Clients
	t          *testing.T
	url, token string
	subnets    []string
	group      string
	definition string
}

func openDoorway(t *testing.T) *doorway {
	t.Helper()
	opened := localMoto(t)
	d := &doorway{Clients: cloud.NewClients(opened.Config), t: t}
	d.url, d.token = opened.Door()
	require.Equal(t, opened.Endpoint+"/tapstack-dataplane", d.url)

	vpc, err := d.EC2.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	require.NoError(t, err)
	for i, zone := range []string{"us-east-1a", "us-east-1b"} {
		block := []string{"10.0.1.0/24", "10.0.2.0/24"}[i]
		subnet, err := d.EC2.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: &block, AvailabilityZone: &zone})
		require.NoError(t, err)
		d.subnets = append(d.subnets, aws.ToString(subnet.Subnet.SubnetId))
	}
	group, err := d.EC2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
		GroupName: aws.String("api"), Description: aws.String("api"), VpcId: vpc.Vpc.VpcId,
	})
	require.NoError(t, err)
	d.group = aws.ToString(group.GroupId)
	_, err = d.ECS.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("payments")})
	require.NoError(t, err)
	d.definition = d.register()
	return d
}

func (d *doorway) register() string {
	d.t.Helper()
	out, err := d.ECS.RegisterTaskDefinition(d.t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("payment-api"), RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("512"), Memory: aws.String("1024"),
		ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("payment-api"), Image: aws.String("api:1")}},
		Tags:                 []ecstypes.Tag{{Key: aws.String("From"), Value: aws.String("definition")}},
	})
	require.NoError(d.t, err)
	return aws.ToString(out.TaskDefinition.TaskDefinitionArn)
}

func (d *doorway) network() *ecstypes.NetworkConfiguration {
	return &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: d.subnets, SecurityGroups: []string{d.group}}}
}

func (d *doorway) createService(name string, count int32) ecstypes.Service {
	d.t.Helper()
	out, err := d.ECS.CreateService(d.t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("payments"), ServiceName: &name, TaskDefinition: &d.definition, DesiredCount: &count,
		LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: d.network(),
	})
	require.NoError(d.t, err)
	return *out.Service
}

func (d *doorway) service(name string) ecstypes.Service {
	d.t.Helper()
	out, err := d.ECS.DescribeServices(d.t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("payments"), Services: []string{name}})
	require.NoError(d.t, err)
	require.Len(d.t, out.Services, 1)
	return out.Services[0]
}

func (d *doorway) list(in ecs.ListTasksInput) []string {
	d.t.Helper()
	in.Cluster = aws.String("payments")
	out, err := d.ECS.ListTasks(d.t.Context(), &in)
	require.NoError(d.t, err)
	return out.TaskArns
}

func (d *doorway) task(arn string) ecstypes.Task {
	d.t.Helper()
	out, err := d.ECS.DescribeTasks(d.t.Context(), &ecs.DescribeTasksInput{
		Cluster: aws.String("payments"), Tasks: []string{arn}, Include: []ecstypes.TaskField{ecstypes.TaskFieldTags},
	})
	require.NoError(d.t, err)
	require.Empty(d.t, out.Failures)
	require.Len(d.t, out.Tasks, 1)
	return out.Tasks[0]
}

func (d *doorway) interfaces(description string) []ec2types.NetworkInterface {
	d.t.Helper()
	out, err := d.EC2.DescribeNetworkInterfaces(d.t.Context(), &ec2.DescribeNetworkInterfacesInput{})
	require.NoError(d.t, err)
	var found []ec2types.NetworkInterface
	for _, it := range out.NetworkInterfaces {
		if strings.Contains(aws.ToString(it.Description), description) {
			found = append(found, it)
		}
	}
	return found
}

// knock sends a request to the door.
func (d *doorway) knock(method, token string, body any) (status int, answer map[string]any) {
	d.t.Helper()
	content, err := json.Marshal(body)
	require.NoError(d.t, err)
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.url, bytes.NewReader(content))
	require.NoError(d.t, err)
	request.Header.Set("X-Tapstack-Token", token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(d.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(d.t, err)
	require.NoError(d.t, json.Unmarshal(text, &answer), string(text))
	return response.StatusCode, answer
}

func (d *doorway) attach(now bool) string {
	d.t.Helper()
	status, answer := d.knock(http.MethodPut, d.token, map[string]any{"attached": now})
	require.Equal(d.t, http.StatusOK, status, answer)
	require.Equal(d.t, now, answer["attached"])
	return answer["addresses"].(string)
}

func (d *doorway) report(body map[string]any) {
	d.t.Helper()
	status, answer := d.knock(http.MethodPost, d.token, body)
	require.Equal(d.t, http.StatusOK, status, answer)
}

func (d *doorway) code(err error) string {
	d.t.Helper()
	var told smithy.APIError
	require.ErrorAs(d.t, err, &told)
	return told.ErrorCode() + ": " + told.ErrorMessage()
}

type object = map[string]any

// running is a task of the service payment-api as a data plane reports it.
func (d *doorway) running(arn, subnet, address string) object {
	return object{
		"taskArn": arn, "clusterArn": "arn:aws:ecs:us-east-1:123456789012:cluster/payments", "taskDefinitionArn": d.definition,
		"group": "service:payment-api", "launchType": "FARGATE", "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
		"startedBy": "ecs-svc/1", "createdAt": time.Now().Unix(), "availabilityZone": "us-east-1a", "securityGroups": []string{d.group},
		"attachments": []object{{"type": "ElasticNetworkInterface", "details": []object{
			{"name": "subnetId", "value": subnet}, {"name": "privateIPv4Address", "value": address},
		}}},
		"containers": []object{{"name": "payment-api", "lastStatus": "RUNNING"}},
	}
}

const taskARN = "arn:aws:ecs:us-east-1:123456789012:task/payments/"

func TestTheDoorOpensToItsTokenOnly(t *testing.T) {
	d := openDoorway(t)
	for _, token := range []string{"", "not-it", d.token + "x"} {
		status, _ := d.knock(http.MethodPut, token, object{"attached": true})
		require.Equal(t, http.StatusForbidden, status)
	}
	status, _ := d.knock(http.MethodDelete, d.token, nil)
	require.Equal(t, http.StatusMethodNotAllowed, status)
	status, answer := d.knock(http.MethodPost, d.token, object{"tasks": []object{}})
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, answer["error"], "no data plane is attached")
	d.attach(true)
	for _, hostile := range []any{object{"attached": "yes"}, []int{1}, nil, "text"} {
		status, _ := d.knock(http.MethodPut, d.token, hostile)
		require.Equal(t, http.StatusBadRequest, status, "%v", hostile)
	}
	for _, hostile := range []any{
		object{"services": []object{{"serviceArn": "x"}}},
		object{"tasks": []object{{}}},
		object{"tasks": 7},
		object{"targetHealth": []object{{}}},
		object{"clusters": []object{{"dbClusterIdentifier": "none", "status": "available"}}},
	} {
		status, answer := d.knock(http.MethodPost, d.token, hostile)
		require.Equal(t, http.StatusBadRequest, status, "%v", hostile)
		require.NotEmpty(t, answer["error"])
	}
	url, token := (&target.Target{Name: target.AWS}).Door()
	require.Empty(t, url+token, "AWS has none")
}

func TestNobodyIsToldTheTokenOfTheDoor(t *testing.T) {
	d := openDoorway(t)
	response, err := http.Get(strings.TrimSuffix(d.url, "dataplane") + "emulator") //nolint:noctx // a test
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NotContains(t, string(body), d.token)
	var told struct{ PID int }
	require.NoError(t, json.Unmarshal(body, &told))
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", told.PID)) // as every user of a machine may
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("this system has no /proc")
	}
	require.NoError(t, err)
	require.NotContains(t, string(arguments), d.token)
}

func TestTheDoorTellsADataPlaneWhatAWSTellsNobody(t *testing.T) {
	d := openDoorway(t)
	ask := func(token, query string) (int, object) {
		url := d.url
		defer func() { d.url = url }()
		d.url += query
		return d.knock(http.MethodGet, token, nil)
	}
	certificate, err := d.ACM.RequestCertificate(t.Context(), &acm.RequestCertificateInput{DomainName: aws.String("api.example.com")})
	require.NoError(t, err)
	_, err = d.RDS.CreateDBCluster(t.Context(), &rds.CreateDBClusterInput{
		DBClusterIdentifier: aws.String("payments"), Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("root"), MasterUserPassword: aws.String("of-the-master"),
	})
	require.NoError(t, err)

	_, answer := ask(d.token, "?certificate="+aws.ToString(certificate.CertificateArn))
	_, err = tls.X509KeyPair([]byte(answer["certificate"].(string)), []byte(answer["privateKey"].(string)))
	require.NoError(t, err)
	_, answer = ask(d.token, "?cluster=payments")
	require.Equal(t, object{"masterUsername": "root", "masterUserPassword": "of-the-master"}, answer)
	for _, query := range []string{"?certificate=" + aws.ToString(certificate.CertificateArn), "?cluster=payments", "?changes"} {
		status, answer := ask("not-it", query)
		require.Equal(t, http.StatusForbidden, status)
		require.Len(t, answer, 1, "nothing but that it is refused")
	}
	for _, query := range []string{"?certificate=none", "?cluster=none"} {
		status, _ := ask(d.token, query)
		require.Equal(t, http.StatusBadRequest, status)
	}

	changes := func() object {
		_, answer := ask(d.token, "?changes")
		return answer["changes"].(object)
	}
	before := changes()
	_ = d.list(ecs.ListTasksInput{})
	require.Equal(t, before, changes(), "to read changes nothing")
	d.register()
	after := changes()
	require.Greater(t, after["ecs"], before["ecs"])
	require.Equal(t, before["rds"], after["rds"])
}

func TestRunTaskOnFargateIsRefusedAsAWSDoes(t *testing.T) {
	d := openDoorway(t)
	valid := func() *ecs.RunTaskInput {
		return &ecs.RunTaskInput{
			Cluster: aws.String("payments"), TaskDefinition: &d.definition, LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: d.network(),
		}
	}
	ec2only, err := d.ECS.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("bridged"), ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("x"), Image: aws.String("x"), Memory: aws.Int32(64)}},
	})
	require.NoError(t, err)
	retired := d.register()
	_, err = d.ECS.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &retired})
	require.NoError(t, err)
	for want, change := range map[string]func(*ecs.RunTaskInput){
		"ClusterNotFoundException: Cluster not found.": func(in *ecs.RunTaskInput) { in.Cluster = aws.String("none") },
		"ClientException: TaskDefinition not found.":   func(in *ecs.RunTaskInput) { in.TaskDefinition = aws.String("none") },
		"ClientException: TaskDefinition is inactive":  func(in *ecs.RunTaskInput) { in.TaskDefinition = &retired },
		"InvalidParameterException: Network Configuration must be provided when networkMode 'awsvpc' is specified.": func(in *ecs.RunTaskInput) {
			in.NetworkConfiguration = nil
		},
		"InvalidParameterException: Task definition does not support launch_type FARGATE.": func(in *ecs.RunTaskInput) {
			in.TaskDefinition = ec2only.TaskDefinition.TaskDefinitionArn
		},
		"InvalidParameterException: Override for container named other is not a container in the TaskDefinition.": func(in *ecs.RunTaskInput) {
			in.Overrides = &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{Name: aws.String("other")}}}
		},
		"InvalidParameterException: No Container Instances were found in your cluster.": func(in *ecs.RunTaskInput) { in.LaunchType = "" },
		"InvalidParameterException: count must be between 1 and 10.":                    func(in *ecs.RunTaskInput) { in.Count = aws.Int32(11) },
	} {
		in := valid()
		change(in)
		_, err := d.ECS.RunTask(t.Context(), in)
		require.Equal(t, want, d.code(err))
	}
	in := valid()
	in.NetworkConfiguration.AwsvpcConfiguration.Subnets = []string{"subnet-00000000"}
	_, err = d.ECS.RunTask(t.Context(), in)
	require.Contains(t, d.code(err), "InvalidParameterException: Error retrieving subnet information for [subnet-00000000]")
	require.Empty(t, d.list(ecs.ListTasksInput{}))
	require.Empty(t, d.interfaces("attachment/"))
}

func TestATaskOfRunTaskIsThereUntilItIsStopped(t *testing.T) {
	d := openDoorway(t)
	token := aws.String("once")
	run := func() []ecstypes.Task {
		out, err := d.ECS.RunTask(t.Context(), &ecs.RunTaskInput{
			Cluster: aws.String("payments"), TaskDefinition: aws.String("payment-api"), LaunchType: ecstypes.LaunchTypeFargate, Count: aws.Int32(2),
			NetworkConfiguration: d.network(), StartedBy: aws.String("tap migrate"), ClientToken: token, EnableECSManagedTags: true,
			PropagateTags: ecstypes.PropagateTagsTaskDefinition, Tags: []ecstypes.Tag{{Key: aws.String("Own"), Value: aws.String("1")}},
			Overrides: &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{
				Name: aws.String("payment-api"), Command: []string{"payment-migrate"},
				Environment: []ecstypes.KeyValuePair{{Name: aws.String("A"), Value: aws.String("b")}},
			}}},
		})
		require.NoError(t, err)
		require.Empty(t, out.Failures)
		return out.Tasks
	}
	tasks := run()
	require.Len(t, tasks, 2)
	require.Equal(t, tasks[0].TaskArn, run()[0].TaskArn, "the same client token")
	token = aws.String("twice")

	task := d.task(aws.ToString(tasks[0].TaskArn))
	require.Equal(t, []string{"PROVISIONING", "RUNNING", "family:payment-api", "tap migrate", "1.4.0", "us-east-1a"}, []string{
		aws.ToString(task.LastStatus), aws.ToString(task.DesiredStatus), aws.ToString(task.Group), aws.ToString(task.StartedBy),
		aws.ToString(task.PlatformVersion), aws.ToString(task.AvailabilityZone),
	})
	require.Equal(t, "us-east-1b", aws.ToString(d.task(aws.ToString(tasks[1].TaskArn)).AvailabilityZone), "tasks are spread")
	require.Equal(t, []string{"payment-migrate"}, task.Overrides.ContainerOverrides[0].Command)
	require.ElementsMatch(t, []string{"From=definition", "Own=1", "aws:ecs:clusterName=payments"}, tagTexts(task.Tags))
	require.WithinDuration(t, time.Now(), aws.ToTime(task.CreatedAt), time.Minute)
	interfaces := d.interfaces("attachment/" + aws.ToString(task.Attachments[0].Id))
	require.Len(t, interfaces, 1)
	require.Equal(t, d.subnets[0], aws.ToString(interfaces[0].SubnetId))
	require.Equal(t, d.group, aws.ToString(interfaces[0].Groups[0].GroupId))
	require.True(t, aws.ToBool(interfaces[0].RequesterManaged))

	filters := map[string]struct {
		in   ecs.ListTasksInput
		want int
	}{
		"all":        {ecs.ListTasksInput{}, 2},
		"family":     {ecs.ListTasksInput{Family: aws.String("payment-api")}, 2},
		"other":      {ecs.ListTasksInput{Family: aws.String("payment")}, 0},
		"started by": {ecs.ListTasksInput{StartedBy: aws.String("tap migrate")}, 2},
		"somebody":   {ecs.ListTasksInput{StartedBy: aws.String("tap")}, 0},
		"launched":   {ecs.ListTasksInput{LaunchType: ecstypes.LaunchTypeFargate}, 2},
		"on EC2":     {ecs.ListTasksInput{LaunchType: ecstypes.LaunchTypeEc2}, 0},
		"stopped":    {ecs.ListTasksInput{DesiredStatus: ecstypes.DesiredStatusStopped}, 0},
	}
	for name, it := range filters {
		require.Len(t, d.list(it.in), it.want, name)
	}
	page, err := d.ECS.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("payments"), MaxResults: aws.Int32(1)})
	require.NoError(t, err)
	require.Len(t, page.TaskArns, 1)
	rest, err := d.ECS.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("payments"), MaxResults: aws.Int32(1), NextToken: page.NextToken})
	require.NoError(t, err)
	require.NotEqual(t, page.TaskArns, rest.TaskArns)
	require.Nil(t, rest.NextToken)
	_, err = d.ECS.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("payments"), ServiceName: aws.String("none")})
	require.Contains(t, d.code(err), "ServiceNotFoundException")

	_, err = d.ECS.DeleteCluster(t.Context(), &ecs.DeleteClusterInput{Cluster: aws.String("payments")})
	require.Contains(t, d.code(err), "ClusterContainsTasksException")
	_, err = d.ECS.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("payments"), Task: aws.String("none")})
	require.Equal(t, "InvalidParameterException: The referenced task was not found.", d.code(err))
	for _, it := range tasks {
		_, err = d.ECS.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("payments"), Task: it.TaskArn, Reason: aws.String("enough")})
		require.NoError(t, err)
	}
	task = d.task(aws.ToString(tasks[0].TaskArn))
	require.Equal(t, []string{"STOPPED", "STOPPED", "UserInitiated", "enough"}, []string{
		aws.ToString(task.LastStatus), aws.ToString(task.DesiredStatus), string(task.StopCode), aws.ToString(task.StoppedReason),
	}, "nobody ran it")
	require.Empty(t, d.interfaces("attachment/"))
	require.Empty(t, d.list(ecs.ListTasksInput{}))
	require.Len(t, d.list(ecs.ListTasksInput{DesiredStatus: ecstypes.DesiredStatusStopped}), 2)
	out, err := d.ECS.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("payments"), Tasks: []string{"none"}})
	require.NoError(t, err)
	require.Equal(t, "MISSING", aws.ToString(out.Failures[0].Reason))
	_, err = d.ECS.DeleteCluster(t.Context(), &ecs.DeleteClusterInput{Cluster: aws.String("payments")})
	require.NoError(t, err)
}

func tagTexts(tags []ecstypes.Tag) (all []string) {
	for _, it := range tags {
		all = append(all, aws.ToString(it.Key)+"="+aws.ToString(it.Value))
	}
	return all
}

func TestAServiceIsWhatTheDataPlaneReports(t *testing.T) {
	d := openDoorway(t)
	d.attach(true)
	service := d.createService("payment-api", 2)
	require.Equal(t, []int32{2, 0, 0}, []int32{service.DesiredCount, service.RunningCount, service.PendingCount})
	require.Equal(t, ecstypes.DeploymentRolloutStateInProgress, service.Deployments[0].RolloutState)
	first := aws.ToString(service.Deployments[0].Id)
	require.Regexp(t, `^ecs-svc/\d{19}$`, first)

	now := time.Now()
	complete := object{
		"id": first, "status": "PRIMARY", "taskDefinition": d.definition, "desiredCount": 2, "runningCount": 2, "pendingCount": 0, "failedTasks": 1,
		"createdAt": now.Unix(), "updatedAt": now.Unix(), "rolloutState": "COMPLETED", "rolloutStateReason": "ECS deployment " + first + " completed.",
	}
	d.report(object{
		"services": []object{{
			"serviceArn": aws.ToString(service.ServiceArn), "runningCount": 2, "pendingCount": 0, "deployments": []object{complete},
			"events": []object{{"id": "e1", "createdAt": now.Unix(), "message": "(service payment-api) has reached a steady state."}},
		}},
		"tasks": []object{
			d.running(taskARN+"1", d.subnets[0], "10.0.1.10"), d.running(taskARN+"2", d.subnets[1], "10.0.2.10"),
		},
	})
	service = d.service("payment-api")
	require.Equal(t, []int32{2, 2, 0}, []int32{service.DesiredCount, service.RunningCount, service.PendingCount})
	require.Equal(t, ecstypes.DeploymentRolloutStateCompleted, service.Deployments[0].RolloutState)
	require.EqualValues(t, 1, service.Deployments[0].FailedTasks)
	require.Equal(t, "(service payment-api) has reached a steady state.", aws.ToString(service.Events[0].Message))
	require.WithinDuration(t, now, aws.ToTime(service.Events[0].CreatedAt), 2*time.Second)
	require.Len(t, d.list(ecs.ListTasksInput{ServiceName: aws.String("payment-api")}), 2)
	require.NoError(t, ecs.NewServicesStableWaiter(d.ECS).Wait(t.Context(), &ecs.DescribeServicesInput{
		Cluster: aws.String("payments"), Services: []string{"payment-api"},
	}, time.Minute))
	interfaces := d.interfaces("attachment/")
	require.Len(t, interfaces, 2)
	details := map[string]string{}
	for _, it := range d.task(taskARN + "1").Attachments[0].Details {
		details[aws.ToString(it.Name)] = aws.ToString(it.Value)
	}
	require.Equal(t, "10.0.1.10", details["privateIPv4Address"])
	require.Equal(t, "10.0.1.10", aws.ToString(d.task(taskARN + "1").Containers[0].NetworkInterfaces[0].PrivateIpv4Address))
	clusters, err := d.ECS.DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"payments"}})
	require.NoError(t, err)
	require.EqualValues(t, 2, clusters.Clusters[0].RunningTasksCount)
	require.EqualValues(t, 1, clusters.Clusters[0].ActiveServicesCount)

	t.Run("only what AWS deploys anew begins a deployment", func(t *testing.T) {
		update := func(in ecs.UpdateServiceInput) []ecstypes.Deployment {
			in.Cluster, in.Service = aws.String("payments"), aws.String("payment-api")
			out, err := d.ECS.UpdateService(t.Context(), &in)
			require.NoError(t, err)
			return out.Service.Deployments
		}
		require.Len(t, update(ecs.UpdateServiceInput{DesiredCount: aws.Int32(3), NetworkConfiguration: nil, TaskDefinition: &d.definition}), 1)
		require.EqualValues(t, 3, d.service("payment-api").Deployments[0].DesiredCount)
		require.EqualValues(t, 2, d.service("payment-api").RunningCount)
		require.Len(t, update(ecs.UpdateServiceInput{HealthCheckGracePeriodSeconds: aws.Int32(5), EnableECSManagedTags: aws.Bool(true)}), 1)
		second := d.register()
		deployments := update(ecs.UpdateServiceInput{TaskDefinition: aws.String("payment-api")})
		require.Len(t, deployments, 2)
		require.Equal(t, second, aws.ToString(deployments[0].TaskDefinition))
		require.Equal(t, []string{"PRIMARY", "ACTIVE"}, []string{aws.ToString(deployments[0].Status), aws.ToString(deployments[1].Status)})
		require.Equal(t, first, aws.ToString(deployments[1].Id))
		require.Equal(t, second, aws.ToString(d.service("payment-api").TaskDefinition))
		require.Len(t, update(ecs.UpdateServiceInput{ForceNewDeployment: true}), 3)
		d.report(object{"services": []object{{ // rolled back
			"serviceArn": aws.ToString(service.ServiceArn), "taskDefinition": d.definition, "deployments": []object{complete},
		}}})
		require.Equal(t, d.definition, aws.ToString(d.service("payment-api").TaskDefinition))
		require.Len(t, d.service("payment-api").Deployments, 1)

		newest := update(ecs.UpdateServiceInput{TaskDefinition: &second})[0]
		d.report(object{"services": []object{{ // decided before it was there
			"serviceArn": aws.ToString(service.ServiceArn), "taskDefinition": d.definition, "deployments": []object{complete}, "knownDeployments": []string{first},
		}}})
		deployments = d.service("payment-api").Deployments
		require.Equal(t, []string{aws.ToString(newest.Id), first}, []string{aws.ToString(deployments[0].Id), aws.ToString(deployments[1].Id)})
		require.Equal(t, second, aws.ToString(d.service("payment-api").TaskDefinition))
		require.Equal(t, ecstypes.LaunchTypeFargate, deployments[1].LaunchType, "what is not reported stays")
		d.report(object{"services": []object{{
			"serviceArn": aws.ToString(service.ServiceArn), "taskDefinition": d.definition, "deployments": []object{complete},
			"knownDeployments": []string{first, aws.ToString(newest.Id)},
		}}})
	})
	t.Run("a task that was told to stop is not told to run again", func(t *testing.T) {
		_, err := d.ECS.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("payments"), Task: aws.String(taskARN + "1"), Reason: aws.String("by hand")})
		require.NoError(t, err)
		d.report(object{"tasks": []object{d.running(taskARN+"1", d.subnets[0], "10.0.1.10")}}) // sent before it was seen
		task := d.task(taskARN + "1")
		require.Equal(t, []string{"RUNNING", "STOPPED", "by hand"}, []string{
			aws.ToString(task.LastStatus), aws.ToString(task.DesiredStatus), aws.ToString(task.StoppedReason),
		})
		require.Len(t, d.interfaces("attachment/"), 2)
		d.report(object{"tasks": []object{{"taskArn": taskARN + "1", "lastStatus": "STOPPED", "stopCode": "EssentialContainerExited"}}})
		require.Equal(t, ecstypes.TaskStopCodeUserInitiated, d.task(taskARN+"1").StopCode)
		require.Len(t, d.interfaces("attachment/"), 1, "the interface goes with its task")
	})
	t.Run("a deleted service drains", func(t *testing.T) {
		_, err := d.ECS.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: aws.String("payments"), Service: aws.String("payment-api"), Force: aws.Bool(true)})
		require.NoError(t, err)
		service := d.service("payment-api")
		require.Equal(t, []any{"DRAINING", int32(0), int32(1)}, []any{aws.ToString(service.Status), service.DesiredCount, service.RunningCount})
		task := d.task(taskARN + "2")
		require.Equal(t, []string{"RUNNING", "STOPPED"}, []string{aws.ToString(task.LastStatus), aws.ToString(task.DesiredStatus)})
		require.Equal(t, ecstypes.TaskStopCodeServiceSchedulerInitiated, task.StopCode)
		listed, err := d.ECS.ListServices(t.Context(), &ecs.ListServicesInput{Cluster: aws.String("payments")})
		require.NoError(t, err)
		require.Empty(t, listed.ServiceArns)
		_, err = d.ECS.CreateService(t.Context(), &ecs.CreateServiceInput{
			Cluster: aws.String("payments"), ServiceName: aws.String("payment-api"), TaskDefinition: &d.definition, DesiredCount: aws.Int32(1),
		})
		require.Equal(t, "InvalidParameterException: Unable to Start a service that is still Draining.", d.code(err))
		_, err = d.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("payments"), Service: aws.String("payment-api")})
		require.Contains(t, d.code(err), "ServiceNotActiveException")
		d.report(object{"tasks": []object{{"taskArn": taskARN + "2", "lastStatus": "STOPPED"}}, "removedTasks": []string{taskARN + "1"}})
		require.Equal(t, "INACTIVE", aws.ToString(d.service("payment-api").Status))
		require.NoError(t, ecs.NewServicesInactiveWaiter(d.ECS).Wait(t.Context(), &ecs.DescribeServicesInput{
			Cluster: aws.String("payments"), Services: []string{"payment-api"},
		}, time.Minute))
		require.Empty(t, d.interfaces("attachment/"))
		_, err = d.ECS.DeleteCluster(t.Context(), &ecs.DeleteClusterInput{Cluster: aws.String("payments")})
		require.NoError(t, err)
	})
}

func TestWhatADataPlaneRanIsGoneWithIt(t *testing.T) {
	d := openDoorway(t)
	d.createService("payment-api", 2)
	require.EqualValues(t, 2, d.service("payment-api").RunningCount, "nobody runs anything: complete at once")
	d.attach(true)
	service := d.service("payment-api")
	require.Zero(t, service.RunningCount)
	require.Equal(t, ecstypes.DeploymentRolloutStateInProgress, service.Deployments[0].RolloutState)
	d.report(object{"tasks": []object{d.running(taskARN+"1", d.subnets[0], "10.0.1.10")}})
	require.Len(t, d.list(ecs.ListTasksInput{}), 1)
	d.attach(false)
	require.Empty(t, d.list(ecs.ListTasksInput{}))
	require.Empty(t, d.interfaces("attachment/"))
	require.EqualValues(t, 2, d.service("payment-api").RunningCount)
}

func TestLoadBalancersAndDatabasesHaveInterfacesWhileSomethingRunsThem(t *testing.T) {
	d := openDoorway(t)
	balancer, err := d.ELB.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: aws.String("pay"), Subnets: d.subnets, SecurityGroups: []string{d.group}})
	require.NoError(t, err)
	arn := aws.ToString(balancer.LoadBalancers[0].LoadBalancerArn)
	_, resource, _ := strings.Cut(arn, ":loadbalancer/")
	require.Empty(t, d.interfaces("ELB"))
	prefix := d.attach(true)
	if runtime.GOOS == "linux" { // elsewhere 127.0.0.1 is the only address
		require.Regexp(t, `^127\.\d+$`, prefix)
		var config net.ListenConfig
		held, err := config.Listen(t.Context(), "tcp", prefix+".255.254:5999")
		if err == nil {
			_ = held.Close()
		}
		require.Error(t, err, "the addresses are not claimed")
	}
	interfaces := d.interfaces("ELB " + resource)
	require.Len(t, interfaces, 2, "one in each zone")
	require.Equal(t, "amazon-elb", aws.ToString(interfaces[0].RequesterId))

	_, err = d.RDS.CreateDBSubnetGroup(t.Context(), &rds.CreateDBSubnetGroupInput{
		DBSubnetGroupName: aws.String("db"), DBSubnetGroupDescription: aws.String("db"), SubnetIds: d.subnets,
	})
	require.NoError(t, err)
	_, err = d.RDS.CreateDBCluster(t.Context(), &rds.CreateDBClusterInput{
		DBClusterIdentifier: aws.String("db"), Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("master"),
		MasterUserPassword: aws.String("not-a-secret"), DBSubnetGroupName: aws.String("db"), VpcSecurityGroupIds: []string{d.group}, Port: aws.Int32(5432),
	})
	require.NoError(t, err)
	for _, name := range []string{"db-a", "db-b"} {
		_, err = d.RDS.CreateDBInstance(t.Context(), &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: &name, DBClusterIdentifier: aws.String("db"), DBInstanceClass: aws.String("db.r6g.large"), Engine: aws.String("aurora-postgresql"),
			AvailabilityZone: aws.String("us-east-1" + name[3:]),
		})
		require.NoError(t, err)
	}
	require.Len(t, d.interfaces("RDSNetworkInterface"), 2)
	endpoints := d.endpoints()
	require.Len(t, endpoints, 4, "an address each: %v", endpoints)
	for address := range endpoints {
		if prefix == "" {
			break
		}
		require.True(t, strings.HasPrefix(address, prefix+".250."), address)
	}

	_, err = d.RDS.FailoverDBCluster(t.Context(), &rds.FailoverDBClusterInput{DBClusterIdentifier: aws.String("db"), TargetDBInstanceIdentifier: aws.String("db-b")})
	require.NoError(t, err)
	status, writer := d.database()
	require.Equal(t, []string{"failing-over", "db-b"}, []string{status, writer})
	_, err = d.RDS.FailoverDBCluster(t.Context(), &rds.FailoverDBClusterInput{DBClusterIdentifier: aws.String("db")})
	require.Contains(t, d.code(err), "InvalidDBClusterStateFault")
	d.report(object{"clusters": []object{{"dbClusterIdentifier": "db", "status": "available"}}})
	status, _ = d.database()
	require.Equal(t, "available", status)

	d.attach(false)
	require.Empty(t, d.interfaces("ELB"))
	require.Empty(t, d.interfaces("RDSNetworkInterface"))
	require.Equal(t, endpoints, d.endpoints(), "an endpoint is what it was")
	d.attach(true)
	_, err = d.ELB.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: &arn})
	require.NoError(t, err)
	_, err = d.RDS.DeleteDBInstance(t.Context(), &rds.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String("db-a"), SkipFinalSnapshot: aws.Bool(true)})
	require.NoError(t, err)
	require.Empty(t, d.interfaces("ELB"))
	require.Len(t, d.interfaces("RDSNetworkInterface"), 1)
}

// endpoints are all addresses of the database, with what they are of.
func (d *doorway) endpoints() map[string]string {
	d.t.Helper()
	clusters, err := d.RDS.DescribeDBClusters(d.t.Context(), &rds.DescribeDBClustersInput{})
	require.NoError(d.t, err)
	instances, err := d.RDS.DescribeDBInstances(d.t.Context(), &rds.DescribeDBInstancesInput{})
	require.NoError(d.t, err)
	found := map[string]string{
		aws.ToString(clusters.DBClusters[0].Endpoint): "writer", aws.ToString(clusters.DBClusters[0].ReaderEndpoint): "reader",
	}
	for _, it := range instances.DBInstances {
		found[aws.ToString(it.Endpoint.Address)] = aws.ToString(it.DBInstanceIdentifier)
	}
	return found
}

func (d *doorway) database() (status, writer string) {
	d.t.Helper()
	out, err := d.RDS.DescribeDBClusters(d.t.Context(), &rds.DescribeDBClustersInput{DBClusterIdentifier: aws.String("db")})
	require.NoError(d.t, err)
	for _, it := range out.DBClusters[0].DBClusterMembers {
		if aws.ToBool(it.IsClusterWriter) {
			writer = aws.ToString(it.DBInstanceIdentifier)
		}
	}
	return aws.ToString(out.DBClusters[0].Status), writer
}

func TestTargetHealthIsWhatTheDataPlaneReports(t *testing.T) {
	d := openDoorway(t)
	vpcs, err := d.EC2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: d.subnets[:1]})
	require.NoError(t, err)
	group, err := d.ELB.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{
		Name: aws.String("api"), Protocol: elbtypes.ProtocolEnumHttps, Port: aws.Int32(8443), TargetType: elbtypes.TargetTypeEnumIp, VpcId: vpcs.Subnets[0].VpcId,
	})
	require.NoError(t, err)
	arn := aws.ToString(group.TargetGroups[0].TargetGroupArn)
	d.attach(true)
	d.report(object{"targetHealth": []object{{"targetGroupArn": arn, "targets": []object{
		{"id": "10.0.1.10", "port": 8443, "availabilityZone": "us-east-1a", "state": "healthy"},
		{"id": "10.0.2.10", "port": 8443, "state": "unhealthy", "reason": "Target.ResponseCodeMismatch", "description": "Health checks failed with these codes: [503]"},
	}}}})
	health := func(ids ...string) map[string]elbtypes.TargetHealth {
		var targets []elbtypes.TargetDescription
		for _, id := range ids {
			targets = append(targets, elbtypes.TargetDescription{Id: &id, Port: aws.Int32(8443)})
		}
		out, err := d.ELB.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &arn, Targets: targets})
		require.NoError(t, err)
		found := map[string]elbtypes.TargetHealth{}
		for _, it := range out.TargetHealthDescriptions {
			require.EqualValues(t, 8443, aws.ToInt32(it.Target.Port))
			found[aws.ToString(it.Target.Id)] = *it.TargetHealth
		}
		return found
	}
	require.Len(t, health(), 2)
	require.Equal(t, elbtypes.TargetHealthReasonEnumResponseCodeMismatch, health("10.0.2.10")["10.0.2.10"].Reason)
	require.Equal(t, elbtypes.TargetHealthStateEnumUnused, health("10.0.9.9")["10.0.9.9"].State)

	byHand := []elbtypes.TargetDescription{{Id: aws.String("10.0.1.10"), Port: aws.Int32(8443)}}
	_, err = d.ELB.RegisterTargets(t.Context(), &elb.RegisterTargetsInput{TargetGroupArn: &arn, Targets: byHand})
	require.NoError(t, err)
	require.Equal(t, elbtypes.TargetHealthStateEnumHealthy, health()["10.0.1.10"].State)
	_, err = d.ELB.DeregisterTargets(t.Context(), &elb.DeregisterTargetsInput{TargetGroupArn: &arn, Targets: byHand})
	require.NoError(t, err)
	require.Equal(t, elbtypes.TargetHealthStateEnumDraining, health()["10.0.1.10"].State, "what was deregistered by hand, whatever was reported before")
	d.attach(false)
	require.Empty(t, health())
}

func TestTheDoorTellsADataPlaneWhatAWSsOwnWouldKnow(t *testing.T) {
	d := openDoorway(t)
	requested, err := d.ACM.RequestCertificate(t.Context(), &acm.RequestCertificateInput{DomainName: aws.String("pay.example.com")})
	require.NoError(t, err)
	_, err = d.RDS.CreateDBCluster(t.Context(), &rds.CreateDBClusterInput{
		DBClusterIdentifier: aws.String("db"), Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("master"), MasterUserPassword: aws.String("first-one"),
	})
	require.NoError(t, err)
	_, err = d.RDS.ModifyDBCluster(t.Context(), &rds.ModifyDBClusterInput{DBClusterIdentifier: aws.String("db"), MasterUserPassword: aws.String("second-one")})
	require.NoError(t, err)
	at := d.url
	ask := func(query url.Values) map[string]any {
		d.url = at + "?" + query.Encode()
		status, answer := d.knock(http.MethodGet, d.token, nil)
		require.Equal(t, http.StatusOK, status, answer)
		return answer
	}
	_, err = tls.X509KeyPair(
		[]byte(ask(url.Values{"certificate": {aws.ToString(requested.CertificateArn)}})["certificate"].(string)),
		[]byte(ask(url.Values{"certificate": {aws.ToString(requested.CertificateArn)}})["privateKey"].(string)))
	require.NoError(t, err)
	require.Equal(t, object{"masterUsername": "master", "masterUserPassword": "second-one"}, ask(url.Values{"cluster": {"db"}}))
	d.url = at + "?cluster=none"
	status, _ := d.knock(http.MethodGet, d.token, nil)
	require.Equal(t, http.StatusBadRequest, status)
	status, _ = d.knock(http.MethodGet, "", nil)
	require.Equal(t, http.StatusForbidden, status)
}

func TestADataPlaneRunsWhatItNamesAndUntilItsProcessEnds(t *testing.T) {
	d := openDoorway(t)
	_, err := d.ECS.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("others")})
	require.NoError(t, err)
	create := func(cluster string) ecstypes.Service {
		out, err := d.ECS.CreateService(t.Context(), &ecs.CreateServiceInput{
			Cluster: &cluster, ServiceName: aws.String("payment-api"), TaskDefinition: &d.definition, DesiredCount: aws.Int32(1),
			LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: d.network(),
		})
		require.NoError(t, err)
		return *out.Service
	}
	process := exec.CommandContext(t.Context(), "sleep", "600")
	require.NoError(t, process.Start())
	names := object{"attached": true, "cluster": "payments", "database": "db", "loadBalancer": "pay", "pid": process.Process.Pid}
	status, answer := d.knock(http.MethodPut, d.token, names)
	require.Equal(t, http.StatusOK, status, answer)
	require.Zero(t, create("payments").RunningCount, "the data plane has not run it yet")
	require.EqualValues(t, 1, create("others").RunningCount, "nobody runs it: complete at once")
	d.report(object{"tasks": []object{d.running(taskARN+"1", d.subnets[0], "10.0.1.10")}})

	status, answer = d.knock(http.MethodPut, d.token, object{"attached": true, "cluster": "payments", "pid": os.Getpid()})
	require.Equal(t, http.StatusConflict, status, answer)
	status, answer = d.knock(http.MethodPut, d.token, object{"attached": true, "cluster": "others", "database": "others", "loadBalancer": "others", "pid": os.Getpid()})
	require.Equal(t, http.StatusOK, status, answer)
	status, answer = d.knock(http.MethodPut, d.token, object{"attached": false, "cluster": "others", "database": "others", "loadBalancer": "others"})
	require.Equal(t, http.StatusOK, status, answer)
	require.Len(t, d.list(ecs.ListTasksInput{}), 1, "another's end is not this one's")

	require.NoError(t, process.Process.Kill())
	_ = process.Wait()
	require.Eventually(t, func() bool {
		return d.service("payment-api").RunningCount == 1 && len(d.list(ecs.ListTasksInput{})) == 0
	}, 20*time.Second, 100*time.Millisecond, "what it ran is gone, as is who would end it")
	_, err = d.ECS.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: aws.String("payments"), Service: aws.String("payment-api"), Force: aws.Bool(true)})
	require.NoError(t, err)
	require.Equal(t, "INACTIVE", aws.ToString(d.service("payment-api").Status))
}
