package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/lifecycle"
	"tapstack/lib/printable"
	"tapstack/lib/target"
)

const (
	// migrationTask is the container of the task that migrates, and the beginning of its log streams.
	migrationTask = "payment-migrate"
	// migrationLines are how many of its last lines are told of a migration that failed.
	migrationLines = 10
)

// migrationWait is how a migration is waited for, on emulators and on AWS, where Fargate alone takes half a minute to start a
// task.
var migrationWait = map[bool]cloud.Wait{
	true:  {Limit: 2 * time.Minute, First: 50 * time.Millisecond, Longest: 500 * time.Millisecond},
	false: {Limit: 30 * time.Minute, First: time.Second, Longest: 5 * time.Second},
}

// RunsTasks says whether the cloud runs what is deployed: AWS does, an emulator as far as the data plane does it.
func (s *Session) RunsTasks() bool { return s.Cloud.Name == target.AWS || s.Plane != nil }

// MustMigrate says whether a deployment has made or changed what the migrations are for, or the migrations themselves: the
// database, its users, the image; or the data plane has begun with an empty database.
func (s *Session) MustMigrate(result lifecycle.Result) bool {
	return s.RunsTasks() && (s.freshPlane || slices.ContainsFunc(result.Changed, func(step lifecycle.Step) bool {
		return step.Op != "delete" && (step.Type == "aws:rds/cluster:Cluster" || step.Name == migrationTask+"-task")
	}))
}

// Migrated is a migration that ended well.
type Migrated struct {
	// Task is the ARN of the task that migrated, Definition what it ran, by name and revision.
	Task       string `json:"task"`
	Definition string `json:"taskDefinition"`
}

func (m Migrated) String() string { return "by " + m.Definition }

// Migrate runs the task that applies the migrations and makes the users of the database, and waits for its end. It may be run
// again at any time.
func (s *Session) Migrate(ctx context.Context) (Migrated, error) {
	ctx, stop := s.watch(ctx, Migrate)
	defer stop()
	s.progress.Begin(Migrate, 0)
	migrated, err := s.migrate(ctx)
	return migrated, s.end(ctx, migrated.String(), err)
}

func (s *Session) migrate(ctx context.Context) (Migrated, error) {
	if !s.RunsTasks() {
		if s.planeEnded {
			return Migrated{}, errors.New("nothing runs tasks here: the data plane has ended; tap up starts it again")
		}
		return Migrated{}, errors.New("nothing runs tasks here: the data plane is off (--data-plane=off)")
	}
	outputs, err := s.Stack.Outputs(ctx)
	if err != nil {
		return Migrated{}, err
	}
	in, err := migrationRun(outputs)
	if err != nil {
		return Migrated{}, fmt.Errorf("stack %s: %w", s.options.Suffix, err)
	}
	clients := cloud.NewClients(s.Cloud.Config)
	started, err := s.runTask(ctx, clients, in)
	if err != nil {
		return Migrated{}, fmt.Errorf("starting the migration: %w", err)
	}
	task, err := started.await(ctx, migrationWait[s.Cloud.Emulated()])
	if err == nil {
		err = succeeded(task)
	}
	if err != nil {
		return Migrated{}, fmt.Errorf("%w%s", err, lastWords(context.WithoutCancel(ctx), clients, s.options.Suffix, started.arn))
	}
	if s.freshPlane {
		if err := s.allStarted(ctx); err != nil {
			return Migrated{}, fmt.Errorf("the database is migrated, but %w", err)
		}
	}
	_, definition, _ := strings.Cut(aws.ToString(in.TaskDefinition), "task-definition/")
	return Migrated{Task: started.arn, Definition: definition}, nil
}

func reasons(failures []ecstypes.Failure) string {
	var told []string
	for _, failure := range failures {
		told = append(told, strings.TrimSpace(aws.ToString(failure.Reason)+" "+aws.ToString(failure.Detail)))
	}
	return printable.Text(strings.Join(told, "; "))
}

// migrationRun is the call that starts a migration, in the services' subnets, as the outputs of the stack tell.
func migrationRun(outputs map[string]any) (*ecs.RunTaskInput, error) {
	text := map[string]string{}
	for _, name := range []string{lib.OutputEcsClusterName, lib.OutputPaymentMigrateTaskDefinition, lib.OutputPaymentMigrateSecurityGroup} {
		if text[name], _ = outputs[name].(string); text[name] == "" {
			return nil, fmt.Errorf("it was deployed before there was a migration (no output %s): deploy it again", name)
		}
	}
	var subnets []string
	list, _ := outputs[lib.OutputPrivateSubnetIDs].([]any)
	for _, it := range list {
		subnets = append(subnets, fmt.Sprint(it))
	}
	return &ecs.RunTaskInput{
		Cluster: aws.String(text[lib.OutputEcsClusterName]), TaskDefinition: aws.String(text[lib.OutputPaymentMigrateTaskDefinition]),
		LaunchType: ecstypes.LaunchTypeFargate, Count: aws.Int32(1), StartedBy: aws.String("tap-migrate"),
		EnableECSManagedTags: true, PropagateTags: ecstypes.PropagateTagsTaskDefinition,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{
			Subnets: subnets, SecurityGroups: []string{text[lib.OutputPaymentMigrateSecurityGroup]}, AssignPublicIp: ecstypes.AssignPublicIpDisabled,
		}},
	}, nil
}

// oneOff is a task that runs once: how to ask what has become of it, and to stop it.
type oneOff struct {
	arn      string
	describe func(context.Context) (ecstypes.Task, error)
	stop     func(context.Context) error
}

// runTask starts a task. In a cloud to which the data plane can report, and on AWS, ECS is asked, else the data plane itself.
func (s *Session) runTask(ctx context.Context, clients *cloud.Clients, in *ecs.RunTaskInput) (oneOff, error) {
	if door, _ := s.Cloud.Door(); door == "" && s.Plane != nil {
		arn, err := s.Plane.RunTask(ctx, in)
		return oneOff{
			arn:      arn,
			describe: func(ctx context.Context) (ecstypes.Task, error) { return s.taskOfPlane(ctx, arn) },
			stop:     func(context.Context) error { return nil }, // it ends with the data plane
		}, err
	}
	started, err := clients.ECS.RunTask(ctx, in)
	if err != nil {
		return oneOff{}, err
	}
	if len(started.Tasks) != 1 {
		return oneOff{}, errors.New(reasons(started.Failures))
	}
	arn := aws.ToString(started.Tasks[0].TaskArn)
	return oneOff{
		arn: arn,
		describe: func(ctx context.Context) (task ecstypes.Task, err error) {
			out, err := clients.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: in.Cluster, Tasks: []string{arn}})
			if err == nil && len(out.Tasks) == 1 {
				task = out.Tasks[0]
			}
			return task, err
		},
		stop: func(ctx context.Context) error {
			_, err := clients.ECS.StopTask(ctx, &ecs.StopTaskInput{Cluster: in.Cluster, Task: &arn, Reason: aws.String("tap no longer waits for it")})
			return err
		},
	}, nil
}

// taskOfPlane is a task as the data plane tells it, in ECS's words; the zero value before it is known.
func (s *Session) taskOfPlane(ctx context.Context, arn string) (task ecstypes.Task, err error) {
	status, err := s.Plane.Status(ctx)
	for _, told := range status.Tasks {
		if !strings.HasSuffix(arn, "/"+told.ID) {
			continue
		}
		task = ecstypes.Task{TaskArn: &arn, LastStatus: &told.LastStatus, StoppedReason: &told.StoppedReason}
		for _, container := range told.Containers {
			one := ecstypes.Container{Name: &container.Name, Reason: &container.Reason}
			if container.ExitCode != nil {
				one.ExitCode = aws.Int32(int32(*container.ExitCode)) //nolint:gosec // an exit code
			}
			task.Containers = append(task.Containers, one)
		}
	}
	return task, err
}

// await waits until a task has stopped. One that is not to be waited for any longer is stopped.
func (o oneOff) await(ctx context.Context, wait cloud.Wait) (task ecstypes.Task, err error) {
	err = cloud.Poll(ctx, wait, func(ctx context.Context) (_ bool, err error) {
		task, err = o.describe(ctx)
		return aws.ToString(task.LastStatus) == "STOPPED", err
	})
	if err == nil {
		return task, nil
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	stopped := o.stop(limited)
	if errors.Is(err, cloud.ErrTimeout) {
		err = fmt.Errorf("the migration was %s after %s and not over", aws.ToString(task.LastStatus), wait.Limit)
	}
	return task, errors.Join(err, stopped)
}

// succeeded tells why a stopped task did not do its work.
func succeeded(task ecstypes.Task) error {
	for _, container := range task.Containers {
		switch {
		case container.ExitCode == nil:
			return fmt.Errorf("the migration did not start: %s", printable.Text(strings.TrimSpace(aws.ToString(task.StoppedReason)+" "+aws.ToString(container.Reason))))
		case *container.ExitCode != 0:
			return fmt.Errorf("the migration failed with exit code %d", *container.ExitCode)
		}
	}
	if len(task.Containers) == 0 {
		return fmt.Errorf("the migration did not start: %s", printable.Text(aws.ToString(task.StoppedReason)))
	}
	return nil
}

// lastWords are the last lines that a task logged; nothing where they cannot be read.
func lastWords(ctx context.Context, clients *cloud.Clients, suffix, arn string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := clients.Logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName:  aws.String("/ecs/" + lib.PhysicalName(migrationTask, suffix)),
		LogStreamName: aws.String(strings.Join([]string{migrationTask, migrationTask, arn[strings.LastIndex(arn, "/")+1:]}, "/")),
		Limit:         aws.Int32(migrationLines), StartFromHead: aws.Bool(false),
	})
	if err != nil {
		return ""
	}
	text := ""
	for _, event := range out.Events {
		text += "\n  " + printable.Text(aws.ToString(event.Message))
	}
	return text
}
