//go:build linux

package dataplane_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
	"tapstack/lib/dataplane"
	"tapstack/lib/dataplane/daemon"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

// asContainer is the first argument of this program where it stands in for what a container would run.
const asContainer = "container"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asContainer {
		os.Exit(containerMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// containerMain serves, until it is told to end, what it was told by its environment.
func containerMain(arguments []string) int {
	switch {
	case len(arguments) > 0 && arguments[0] == "exit":
		return 7
	case len(arguments) > 0 && arguments[0] == "work":
		return work()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/burn", burn)
	mux.HandleFunc("/who", func(w http.ResponseWriter, _ *http.Request) {
		folder, _ := os.Getwd()
		unwritable := os.WriteFile(folder+"/x", nil, 0o600) != nil
		writable := os.WriteFile(os.Getenv("TMPDIR")+"/x", nil, 0o600) == nil //nolint:gosec // the plane has set it
		var names []string
		for _, entry := range os.Environ() {
			name, _, _ := strings.Cut(entry, "=")
			names = append(names, name)
		}
		slices.Sort(names)
		_, _ = fmt.Fprintln(w, os.Getenv("VERSION"), os.Geteuid() != 0, unwritable, writable, strings.Join(names, " "))
	})
	mux.HandleFunc("/db", func(w http.ResponseWriter, r *http.Request) {
		connection, err := pgx.Connect(r.Context(), r.URL.Query().Get("url"))
		if err != nil {
			_, _ = fmt.Fprintln(w, err)
			return
		}
		defer func() { _ = connection.Close(r.Context()) }()
		var replica bool
		err = connection.QueryRow(r.Context(), "SELECT pg_is_in_recovery()").Scan(&replica)
		_, _ = fmt.Fprintln(w, replica, err)
	})
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(os.Getenv("CONTAINER_HOST"), os.Getenv("CONTAINER_PORT")))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("listening as", os.Getenv("VERSION"))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		<-ended.Done()
		_ = server.Shutdown(context.Background())
	}()
	_ = server.Serve(listener)
	fmt.Println("ended")
	return 0
}

// stage is a cloud with a network, a cluster and a plane.
type stage struct {
	*cloud.Clients
	t       *testing.T
	plane   *dataplane.Plane
	subnets []string
	vpc     string
	group   string
	cluster string
}

const logGroup, logBucket = "/ecs/web", "access-logs-of-front"

func newStage(t *testing.T, changes ...func(*dataplane.Options)) *stage {
	t.Helper()
	processtest.SkipIfShort(t)
	ctx := t.Context()
	moto, err := target.Open(ctx, target.Options{Name: target.Local})
	if err != nil {
		t.Skip("there is no local cloud: ", err)
	}
	t.Cleanup(func() { assert.NoError(t, moto.Close()) })
	s := &stage{Clients: cloud.NewClients(moto.Config), t: t, cluster: "payments"}

	vpc, err := s.EC2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	require.NoError(t, err)
	s.vpc = *vpc.Vpc.VpcId
	for i, zone := range []string{"us-east-1a", "us-east-1b", "us-east-1c"} {
		made, err := s.EC2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: &s.vpc, AvailabilityZone: &zone, CidrBlock: aws.String(fmt.Sprintf("10.0.%d.0/20", 16*(i+1))),
		})
		require.NoError(t, err)
		s.subnets = append(s.subnets, *made.Subnet.SubnetId)
	}
	group, err := s.EC2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: &s.vpc, GroupName: aws.String("web"), Description: aws.String("web")})
	require.NoError(t, err)
	s.group = *group.GroupId
	_, err = s.Logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(logGroup)})
	require.NoError(t, err)

	door, token := moto.Door()
	options := dataplane.Options{
		AWS: moto.Config, Cluster: s.cluster, LoadBalancer: "front", Database: "payments", Door: door, Token: token, Dir: t.TempDir(), Speed: 50,
		Run: map[string][]string{"web": {os.Args[0], asContainer}}, Notify: func(text string) { t.Log(text) },
	}
	for _, change := range changes {
		change(&options)
	}
	s.plane, err = dataplane.Start(ctx, options)
	require.NoError(t, err)
	t.Cleanup(func() {
		began := time.Now()
		assert.NoError(t, s.plane.Close())
		t.Logf("closed in %s", time.Since(began))
	})
	_, err = s.ECS.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: &s.cluster})
	require.NoError(t, err)
	return s
}

// define registers a revision of the task definition.
func (s *stage) define(version string, arguments ...string) string {
	s.t.Helper()
	out, err := s.ECS.RegisterTaskDefinition(s.t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("web"), Image: aws.String("web:" + version), User: aws.String("10001:10001"), Command: arguments,
			Environment: []ecstypes.KeyValuePair{
				{Name: aws.String("VERSION"), Value: &version}, {Name: aws.String("CONTAINER_PORT"), Value: aws.String("8080")},
			},
			HealthCheck: &ecstypes.HealthCheck{Command: []string{"CMD", "curl", "--fail", "--silent", "http://localhost:8080/health"}, StartPeriod: aws.Int32(60)},
			LogConfiguration: &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": logGroup, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web",
			}},
		}},
	})
	require.NoError(s.t, err)
	return *out.TaskDefinition.TaskDefinitionArn
}

func (s *stage) service(definition string, desired int32, balanced ...ecstypes.LoadBalancer) {
	s.t.Helper()
	_, err := s.ECS.CreateService(s.t.Context(), &ecs.CreateServiceInput{
		LoadBalancers: balanced, HealthCheckGracePeriodSeconds: aws.Int32(600),
		Cluster: &s.cluster, ServiceName: aws.String("web"), TaskDefinition: &definition, DesiredCount: &desired, LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: s.subnets, SecurityGroups: []string{s.group}}},
		DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
			MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(200),
			DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		},
	})
	require.NoError(s.t, err)
}

// await waits for a status of the plane.
func (s *stage) await(what string, is func(dataplane.Status) bool) dataplane.Status {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	var last dataplane.Status
	err := s.plane.Wait(ctx, func(status dataplane.Status) bool { last = status; return is(status) })
	for len(last.Tasks) > 4 {
		last.Tasks = last.Tasks[1:]
	}
	require.NoError(s.t, err, "%s; it is %+v", what, last)
	return last
}

// tells waits until CloudWatch has metrics of these names.
func (s *stage) tells(namespace string, names ...string) {
	s.t.Helper()
	var missing []string
	require.Eventually(s.t, func() bool {
		missing = slices.Clone(names)
		out, err := s.CloudWatch.ListMetrics(s.t.Context(), &cloudwatch.ListMetricsInput{Namespace: &namespace})
		if err != nil {
			return false
		}
		for _, m := range out.Metrics {
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == aws.ToString(m.MetricName) })
		}
		return len(missing) == 0
	}, 10*time.Second, 100*time.Millisecond, "%s has no %s", namespace, &missing)
}

// given are the variables of a container: what its definition sets, and what Fargate and the plane add.
const given = "AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_EXECUTION_ENV AWS_REGION CONTAINER_HOST " +
	"CONTAINER_PORT ECS_AGENT_URI ECS_CONTAINER_METADATA_URI_V4 HOME HOSTNAME PATH TMPDIR VERSION"

func steady(definition string, running int) func(dataplane.Status) bool {
	return func(s dataplane.Status) bool {
		return len(s.Services) == 1 && s.Services[0].Steady && s.Services[0].TaskDefinition == definition && s.Services[0].Running == running
	}
}

func TestAServiceRunsAsProcesses(t *testing.T) {
	s := newStage(t)
	first := s.define("1")
	began := time.Now()
	s.service(first, 3)
	status := s.await("three tasks run", steady(first, 3))
	t.Logf("steady after %s", time.Since(began))
	zones := map[string]bool{}
	for _, task := range status.Tasks {
		zones[task.Zone] = true
		body := get(t, "http://"+task.Host+":8080/who")
		assert.Equal(t, "1 true true true "+given+"\n", body, "version, not root, folder not writable, TMPDIR writable, and the variables")
	}
	assert.Len(t, zones, 3, "the tasks are spread over the zones")

	require.NoError(t, s.plane.Kill("web"))
	s.await("the killed task is noticed", func(st dataplane.Status) bool { return st.Services[0].Running < 3 })
	s.await("and replaced", steady(first, 3))

	began = time.Now()
	second := s.define("2")
	_, err := s.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &s.cluster, Service: aws.String("web"), TaskDefinition: &second})
	require.NoError(t, err)
	s.await("a new revision is rolled out", steady(second, 3))
	t.Logf("rolled after %s", time.Since(began))
}

// balance makes a load balancer with a listener, and answers with what a service needs to be behind it.
func (s *stage) balance() (dnsName string, behind ecstypes.LoadBalancer) {
	s.t.Helper()
	ctx := s.t.Context()
	group, err := s.ELB.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String("web"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(8080), VpcId: &s.vpc, TargetType: elbtypes.TargetTypeEnumIp,
		HealthCheckPath: aws.String("/health"), HealthCheckIntervalSeconds: aws.Int32(15), HealthyThresholdCount: aws.Int32(2),
	})
	require.NoError(s.t, err)
	front, err := s.ELB.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("front"), Subnets: s.subnets, SecurityGroups: []string{s.group}})
	require.NoError(s.t, err)
	_, err = s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(logBucket)})
	require.NoError(s.t, err)
	_, err = s.S3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: aws.String(logBucket), Policy: aws.String(`{"Version":"2012-10-17","Statement":[` +
		`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::` + logBucket + `/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`)})
	require.NoError(s.t, err)
	_, err = s.ELB.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{
		LoadBalancerArn: front.LoadBalancers[0].LoadBalancerArn, Attributes: []elbtypes.LoadBalancerAttribute{
			{Key: aws.String("access_logs.s3.enabled"), Value: aws.String("true")}, {Key: aws.String("access_logs.s3.bucket"), Value: aws.String(logBucket)},
		},
	})
	require.NoError(s.t, err)
	arn := group.TargetGroups[0].TargetGroupArn
	certificate, err := s.ACM.RequestCertificate(ctx, &acm.RequestCertificateInput{DomainName: aws.String("api.example.com")})
	require.NoError(s.t, err)
	_, err = s.ELB.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: front.LoadBalancers[0].LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttps, Port: aws.Int32(443),
		SslPolicy: aws.String("ELBSecurityPolicy-TLS13-1-2-2021-06"), Certificates: []elbtypes.Certificate{{CertificateArn: certificate.CertificateArn}},
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: arn}},
	})
	require.NoError(s.t, err)
	return *front.LoadBalancers[0].DNSName, ecstypes.LoadBalancer{TargetGroupArn: arn, ContainerName: aws.String("web"), ContainerPort: aws.Int32(8080)}
}

func TestRequestsReachTheTasksThroughTheLoadBalancer(t *testing.T) {
	s := newStage(t)
	name, behind := s.balance()
	first := s.define("1")
	s.service(first, 2, behind)
	blocked := s.await("somebody is in the load balancer's way", func(st dataplane.Status) bool { return len(st.Problems) > 0 && len(st.Services) > 0 })
	assert.Zero(t, blocked.Services[0].Healthy, "no rule lets the load balancer in yet")
	assert.Contains(t, blocked.Problems[0], "no ingress rule of")

	_, err := s.EC2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, IpPermissions: []ec2types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(8080), ToPort: aws.Int32(8080), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &s.group}},
	}}})
	require.NoError(t, err)
	began := time.Now()
	s.await("a rule lets the load balancer in", steady(first, 2))
	t.Logf("steady after %s", time.Since(began))

	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: s.plane.Network().DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // moto signed it
	}}
	ask := func() string {
		response, err := client.Do(request(t, "https://"+name+"/who"))
		if err != nil {
			return err.Error()
		}
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		return response.Status + " " + string(body)
	}
	assert.Contains(t, ask(), "200 OK 1 true")

	// While a new revision is rolled out, no request fails.
	ended, failed := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-ended:
				return
			default:
			}
			if answer := ask(); !strings.HasPrefix(answer, "200 OK") {
				failed <- answer
				return
			}
		}
	}()
	second := s.define("2")
	began = time.Now()
	_, err = s.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &s.cluster, Service: aws.String("web"), TaskDefinition: &second})
	require.NoError(t, err)
	s.await("the new revision is rolled out", steady(second, 2))
	t.Logf("rolled after %s", time.Since(began))
	close(ended)
	for answer := range failed {
		assert.Fail(t, "a request failed during the update", answer)
	}
	assert.Contains(t, ask(), "200 OK 2 true")

	health, err := s.ELB.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: behind.TargetGroupArn})
	require.NoError(t, err)
	require.Len(t, health.TargetHealthDescriptions, 2)
	for _, one := range health.TargetHealthDescriptions {
		assert.Equal(t, elbtypes.TargetHealthStateEnumHealthy, one.TargetHealth.State)
	}
	services, err := s.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &s.cluster, Services: []string{"web"}})
	require.NoError(t, err)
	for _, e := range slices.Backward(services.Services[0].Events) {
		t.Log(aws.ToString(e.Message))
	}
	assert.Equal(t, ecstypes.DeploymentRolloutStateCompleted, services.Services[0].Deployments[0].RolloutState)
	assert.EqualValues(t, 2, services.Services[0].RunningCount)

	s.tells("AWS/ECS", "CPUUtilization", "MemoryUtilization")
	s.tells("AWS/ApplicationELB", "RequestCount", "HTTPCode_Target_2XX_Count", "TargetResponseTime", "HealthyHostCount", "UnHealthyHostCount", "ActiveConnectionCount")

	_, err = s.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &s.cluster, Service: aws.String("web"), DesiredCount: aws.Int32(0)})
	require.NoError(t, err)
	s.await("scaled to nothing", steady(second, 0))
	began = time.Now()
	_, err = s.ECS.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: &s.cluster, Service: aws.String("web")})
	require.NoError(t, err)
	_, err = s.ECS.DeleteCluster(t.Context(), &ecs.DeleteClusterInput{Cluster: &s.cluster})
	require.NoError(t, err)
	s.await("nothing is left", func(st dataplane.Status) bool { return len(st.Services) == 0 })
	t.Logf("gone after %s", time.Since(began))

	require.NoError(t, s.plane.Close())
	objects, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(logBucket)})
	require.NoError(t, err)
	require.NotEmpty(t, objects.Contents, "the access log is in the bucket")
	assert.Regexp(t, `^AWSLogs/\d+/elasticloadbalancing/us-east-1/.*_app\.front\..*\.log\.gz$`, aws.ToString(objects.Contents[0].Key))
}

// database makes a DB cluster of two instances, and answers with its security group.
func (s *stage) database() (cluster *rdstypes.DBCluster, group string) {
	s.t.Helper()
	ctx := s.t.Context()
	db, err := s.EC2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: &s.vpc, GroupName: aws.String("db"), Description: aws.String("db")})
	require.NoError(s.t, err)
	_, err = s.RDS.CreateDBSubnetGroup(ctx, &rds.CreateDBSubnetGroupInput{
		DBSubnetGroupName: aws.String("payments"), DBSubnetGroupDescription: aws.String("payments"), SubnetIds: s.subnets,
	})
	require.NoError(s.t, err)
	made, err := s.RDS.CreateDBCluster(ctx, &rds.CreateDBClusterInput{
		DBClusterIdentifier: aws.String("payments"), Engine: aws.String("aurora-postgresql"), DatabaseName: aws.String("payments"),
		MasterUsername: aws.String("master"), MasterUserPassword: aws.String("of-the-master"), DBSubnetGroupName: aws.String("payments"),
		VpcSecurityGroupIds: []string{*db.GroupId},
	})
	require.NoError(s.t, err)
	for _, name := range []string{"one", "two"} {
		_, err = s.RDS.CreateDBInstance(ctx, &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: &name, DBClusterIdentifier: aws.String("payments"), DBInstanceClass: aws.String("db.r6g.large"), Engine: aws.String("aurora-postgresql"),
		})
		require.NoError(s.t, err)
	}
	return made.DBCluster, *db.GroupId
}

func TestTasksReachTheDatabaseThatIsPromoted(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	made, group := s.database()
	began := time.Now()
	definition := s.define("1")
	s.service(definition, 1)
	status := s.await("a task runs, with a database", func(st dataplane.Status) bool {
		const endpoints = 4 // of the cluster and of its two instances: the second is added while tasks run already
		return steady(definition, 1)(st) && st.Database != nil && st.Database.Ready && len(st.Database.Leads) == endpoints
	})
	t.Logf("ready after %s: %+v", time.Since(began), *status.Database)

	s.tells("AWS/RDS", "DatabaseConnections", "CPUUtilization", "Deadlocks", "AuroraReplicaLag", "AuroraReplicaLagMaximum")

	host := status.Tasks[len(status.Tasks)-1].Host
	ask := func(endpoint *string) string {
		address := fmt.Sprintf("postgres://master:of-the-master@%s:5432/payments?sslmode=verify-full", *endpoint)
		return get(t, "http://"+host+":8080/db?url="+url.QueryEscape(address))
	}
	assert.NotEqual(t, "false <nil>\n", ask(made.Endpoint), "no rule lets the task in")
	_, err := s.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []ec2types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(5432), ToPort: aws.Int32(5432), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &s.group}},
	}}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return ask(made.Endpoint) == "false <nil>\n" }, 10*time.Second, 100*time.Millisecond, "the writer")
	assert.Equal(t, "true <nil>\n", ask(made.ReaderEndpoint), "the reader")

	writer := status.Database.Writer
	began = time.Now()
	_, err = s.RDS.FailoverDBCluster(ctx, &rds.FailoverDBClusterInput{DBClusterIdentifier: aws.String("payments")})
	require.NoError(t, err)
	s.await("another is the writer", func(st dataplane.Status) bool { return st.Database.Writer != writer })
	require.Eventually(t, func() bool { return ask(made.Endpoint) == "false <nil>\n" }, 10*time.Second, 50*time.Millisecond, "the writer")
	t.Logf("failed over after %s", time.Since(began))
	require.Eventually(t, func() bool {
		out, err := s.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{})
		return err == nil && *out.DBClusters[0].Status == "available"
	}, 10*time.Second, 50*time.Millisecond, "the API tells the end of the failover")

	require.Eventually(t, func() bool {
		events, err := s.Logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: aws.String(logGroup), LogStreamName: aws.String("web/web/" + status.Tasks[len(status.Tasks)-1].ID),
		})
		return err == nil && len(events.Events) > 0 && *events.Events[0].Message == "listening as 1"
	}, 5*time.Second, 100*time.Millisecond, "what a container prints is in its log group")
}

func TestATaskThatIsRunAloneTellsItsExitCode(t *testing.T) {
	s := newStage(t)
	definition := s.define("1")
	run := func(command ...string) string {
		t.Helper()
		out, err := s.ECS.RunTask(t.Context(), &ecs.RunTaskInput{
			Cluster: &s.cluster, TaskDefinition: &definition, LaunchType: ecstypes.LaunchTypeFargate, StartedBy: aws.String("a test"),
			NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: s.subnets, SecurityGroups: []string{s.group}}},
			Overrides:            &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{Name: aws.String("web"), Command: command}}},
		})
		require.NoError(t, err)
		return *out.Tasks[0].TaskArn
	}
	told := func(arn, status string) ecstypes.Task {
		t.Helper()
		var task ecstypes.Task
		require.Eventually(t, func() bool {
			out, err := s.ECS.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: &s.cluster, Tasks: []string{arn}})
			require.NoError(t, err)
			task = out.Tasks[0]
			return aws.ToString(task.LastStatus) == status
		}, 20*time.Second, 50*time.Millisecond)
		return task
	}
	task := told(run("exit"), "STOPPED")
	assert.Equal(t, ecstypes.TaskStopCodeEssentialContainerExited, task.StopCode)
	assert.Equal(t, "Essential container in task exited", aws.ToString(task.StoppedReason))
	assert.EqualValues(t, 7, aws.ToInt32(task.Containers[0].ExitCode))
	assert.Equal(t, "a test", aws.ToString(task.StartedBy))

	arn := run("serve")
	task = told(arn, "RUNNING")
	assert.NotEmpty(t, aws.ToString(task.Attachments[0].Details[0].Value))
	host := s.task(arn[strings.LastIndexByte(arn, '/')+1:]).Host
	require.Eventually(t, func() bool { return answers(t, "http://"+host+":8080/health") }, 5*time.Second, 10*time.Millisecond)
	_, err := s.ECS.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: &s.cluster, Task: &arn, Reason: aws.String("enough")})
	require.NoError(t, err)
	task = told(arn, "STOPPED")
	assert.Equal(t, ecstypes.TaskStopCodeUserInitiated, task.StopCode)
	assert.Equal(t, "enough", aws.ToString(task.StoppedReason))
	assert.EqualValues(t, 0, aws.ToInt32(task.Containers[0].ExitCode), "it was asked to end before it was made to")
}

func TestWithoutADoorThereIsADatabaseAndATaskCanBeRun(t *testing.T) {
	s := newStage(t, func(o *dataplane.Options) { o.Door, o.Token = "", "" })
	ctx := t.Context()
	made, group := s.database()
	_, err := s.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []ec2types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(5432), ToPort: aws.Int32(5432), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &s.group}},
	}}})
	require.NoError(t, err)
	found := make(chan daemon.Record, 1)
	go func() {
		_ = daemon.Serve(ctx, s.plane, func(r daemon.Record) error { found <- r; return nil }) // ends with the test
	}()
	record := <-found
	definition := s.define("1")
	run := func(command ...string) string {
		arn, err := record.RunTask(ctx, &ecs.RunTaskInput{
			Cluster: &s.cluster, TaskDefinition: &definition,
			NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: s.subnets, SecurityGroups: []string{s.group}}},
			Overrides:            &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{Name: aws.String("web"), Command: command}}},
		})
		require.NoError(t, err)
		return arn[strings.LastIndexByte(arn, '/')+1:]
	}
	serving, ending := run("serve"), run("exit")
	for name, value := range map[string]string{
		"another":       `{"host": "elsewhere", "username": "master", "password": "of-another"}`,
		"no JSON":       "of-nobody",
		"the right one": fmt.Sprintf(`{"engine": "postgres", "host": %q, "port": 5432, "username": "master", "password": "of-the-master"}`, *made.Endpoint),
	} { // they come after the cluster, as they do in a deployment
		_, err := s.SecretsManager.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String(strings.ReplaceAll(name, " ", "-")), SecretString: &value})
		require.NoError(t, err)
	}
	in := func(status dataplane.Status, id string) (found dataplane.TaskStatus) {
		for _, task := range status.Tasks {
			if task.ID == id {
				found = task
			}
		}
		return found
	}
	status := s.await("the tasks run, with a database", func(st dataplane.Status) bool {
		return in(st, serving).HealthStatus == "HEALTHY" && in(st, ending).LastStatus == "STOPPED"
	})
	require.True(t, status.Database != nil && status.Database.Ready, "tasks wait for it")
	require.Equal(t, 7, *in(status, ending).Containers[0].ExitCode)
	address := fmt.Sprintf("postgres://master:of-the-master@%s:5432/payments?sslmode=verify-full", status.Database.Leads[*made.Endpoint])
	require.Eventually(t, func() bool {
		return get(t, "http://"+in(status, serving).Host+":8080/db?url="+url.QueryEscape(address)) == "false <nil>\n"
	}, 10*time.Second, 100*time.Millisecond, "with the password of the secret, as soon as the network is read")

	_, err = record.RunTask(ctx, &ecs.RunTaskInput{TaskDefinition: &definition})
	require.ErrorContains(t, err, "Network Configuration must be provided")
}

func TestADeploymentWhoseTasksFailIsRolledBack(t *testing.T) {
	s := newStage(t)
	good := s.define("1")
	s.service(good, 2)
	s.await("the first deployment", steady(good, 2))
	before := s.plane.Status().Tasks
	bad := s.define("2", "exit")
	_, err := s.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &s.cluster, Service: aws.String("web"), TaskDefinition: &bad})
	require.NoError(t, err)
	s.await("the second is tried", func(st dataplane.Status) bool { return st.Services[0].TaskDefinition == bad })
	s.await("and the first comes back", steady(good, 2))
	for _, task := range before {
		assert.NotContains(t, []string{"STOPPED", "STOPPING"}, s.task(task.ID).LastStatus, "no task of the first was stopped")
	}
	var service ecstypes.Service
	require.Eventually(t, func() bool {
		out, err := s.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &s.cluster, Services: []string{"web"}})
		require.NoError(t, err)
		service = out.Services[0]
		return service.Deployments[0].RolloutState == ecstypes.DeploymentRolloutStateCompleted
	}, 5*time.Second, 50*time.Millisecond)
	assert.Equal(t, good, aws.ToString(service.TaskDefinition), "the service is back at the definition that was completed")
	require.Len(t, service.Deployments, 1)
	var said []string
	for _, e := range service.Events {
		said = append(said, aws.ToString(e.Message))
	}
	all := strings.Join(said, "\n")
	assert.Contains(t, all, "deployment failed: tasks failed to start.")
	assert.Contains(t, all, "rolling back to deployment ecs-svc/")
}

// task is a task as the plane tells it.
func (s *stage) task(id string) dataplane.TaskStatus {
	s.t.Helper()
	for _, task := range s.plane.Status().Tasks {
		if task.ID == id {
			return task
		}
	}
	s.t.Fatalf("the plane has no task %s", id)
	return dataplane.TaskStatus{}
}

func request(t *testing.T, address string) *http.Request {
	t.Helper()
	made, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	return made
}

func answers(t *testing.T, address string) bool {
	t.Helper()
	client := http.Client{Timeout: time.Second}
	response, err := client.Do(request(t, address))
	if err == nil {
		_ = response.Body.Close()
	}
	return err == nil
}

func get(t *testing.T, address string) string {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Do(request(t, address))
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body := make([]byte, 4096)
	n, _ := response.Body.Read(body)
	return string(body[:n])
}
