package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/dataplane"
	"tapstack/lib/dataplane/daemon"
	"tapstack/lib/inventory"
	"tapstack/lib/printable"
	"tapstack/lib/process"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// DataPlane says how this machine runs what is deployed on an emulator. The zero value finds one that runs already.
type DataPlane struct {
	// Run is the command of each container, by its name; those that it leaves out run the reference services. A session
	// starts no data plane where it is nil.
	Run map[string][]string
	// Daemon is the command line of a data plane that outlives the session (ServeDataPlane).
	Daemon []string
}

// DatabaseWriter is what Plane.Kill knows the writer of the database by.
const DatabaseWriter = dataplane.DatabaseWriter

const (
	planeStart = time.Minute
	planeStop  = 2 * time.Minute
	// planeLook is the time between two looks at the cloud of a data plane that outlives its session.
	planeLook = 2 * time.Second
	// silentLimit is how long a cloud that is not tap's own may not answer before its data plane ends.
	silentLimit = time.Minute
)

// Plane is the data plane of a session's cloud.
type Plane interface {
	Status(ctx context.Context) (dataplane.Status, error)
	// Kill kills the process of a container, in one of the tasks that have it.
	Kill(ctx context.Context, container string) error
	// RunTask runs a one-off task of which the API knows nothing: for a cloud without a door.
	RunTask(ctx context.Context, in *ecs.RunTaskInput) (arn string, err error)
}

// ownPlane is one that ends with the session.
type ownPlane struct{ *dataplane.Plane }

func (p ownPlane) Status(context.Context) (dataplane.Status, error) { return p.Plane.Status(), nil }

func (p ownPlane) Kill(_ context.Context, container string) error { return p.Plane.Kill(container) }

func (p ownPlane) RunTask(_ context.Context, in *ecs.RunTaskInput) (string, error) {
	return p.Plane.RunTask(in)
}

// whileTasksStart ends a deployment, with the reason, whose tasks do not start and that has none before them to go back to. ECS
// leaves such a service as it is, and whoever waits for it waits until the end of its time.
func (s *Session) whileTasksStart(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if s.Plane != nil {
		go func() {
			_ = cloud.Poll(ctx, cloud.Wait{First: planeLook, Longest: planeLook}, func(ctx context.Context) (bool, error) {
				status, err := s.Plane.Status(ctx)
				if failed := notStarting(status); err == nil && failed != nil {
					cancel(failed)
					return true, nil
				}
				return false, nil
			})
		}()
	}
	return ctx, func() { cancel(context.Canceled) }
}

// notStarting tells of a service whose deployment has failed without any task that runs, and why the last of them stopped.
func notStarting(status dataplane.Status) error {
	for _, service := range status.Services {
		if service.RolloutState != string(ecstypes.DeploymentRolloutStateFailed) || service.Running > 0 || service.Desired == 0 {
			continue
		}
		reason := "its tasks stop"
		for _, task := range status.Tasks {
			if task.Service == service.Name && task.StoppedReason != "" {
				reason = task.StoppedReason
				for _, container := range task.Containers {
					if container.ExitCode != nil {
						reason += fmt.Sprintf(" (%s, exit code %d)", container.Name, *container.ExitCode)
					}
					reason += " " + container.Reason
				}
			}
		}
		return fmt.Errorf("%s does not start: %s. Its log group tells what it printed", service.Name, printable.Text(strings.TrimSpace(reason)))
	}
	return nil
}

// network is what reaches the deployed stack: nil for this machine's own.
func (s *Session) network() verify.Network {
	if s.Plane == nil {
		return nil
	}
	return dataplane.NetworkOf(s.Plane.Status)
}

// openPlane starts or finds the data plane of the cloud that was opened.
func (s *Session) openPlane(ctx context.Context, lifetime target.Lifetime) error {
	switch plane := s.options.DataPlane; {
	case plane == nil, lifetime == target.WithTool && plane.Run == nil:
		return nil
	case lifetime == target.WithTool:
		plane, err := s.startPlane(ctx, s.progress.Note)
		if err == nil {
			s.Plane = ownPlane{plane}
		}
		return err
	}
	err := s.FindPlane()
	if found, runs := s.Plane.(daemon.Record); runs && lifetime == target.Kept {
		return sameRun(found.Run, s.options.DataPlane.Run, s.options.Suffix)
	}
	if err != nil || s.Plane != nil || lifetime != target.Kept || s.options.DataPlane.Run == nil {
		return err
	}
	if s.planeEnded {
		s.redeploy(ctx)
	}
	launched, err := s.launchPlane(ctx)
	if err == nil {
		s.Plane, s.freshPlane = *launched, true
	}
	return err
}

// sameRun refuses programs that a data plane which runs already does not run.
func sameRun(runs, wanted map[string][]string, stack string) error {
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !slices.Equal(runs[name], wanted[name]) {
			return fmt.Errorf("the data plane of stack %s runs already, and another program for %s than --run says: destroy the stack, or put the program where "+
				"that one is and end its processes", stack, name)
		}
	}
	return nil
}

// redeploy deploys the services anew: a deployment that failed on a data plane that is gone would be left as it is.
func (s *Session) redeploy(ctx context.Context) {
	clients, cluster := cloud.NewClients(s.Cloud.Config), s.nameOf(inventory.ECSCluster)
	for _, name := range []string{"payment-api", "job-processor"} {
		service := lib.PhysicalName(name, s.options.Suffix)
		_, _ = clients.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: &cluster, Service: &service, ForceNewDeployment: true}) // it may not be there
	}
}

// allStarted waits until a data plane that has begun runs all that is deployed, and tells what does not start.
func (s *Session) allStarted(ctx context.Context) error {
	err := cloud.Poll(ctx, cloud.Wait{Limit: steadyLimit, First: 100 * time.Millisecond, Longest: 500 * time.Millisecond}, func(ctx context.Context) (bool, error) {
		status, err := s.Plane.Status(ctx)
		if err == nil {
			err = notStarting(status)
		}
		return !slices.ContainsFunc(status.Services, func(of dataplane.ServiceStatus) bool { return !of.Steady }), err
	})
	if errors.Is(err, cloud.ErrTimeout) {
		return errors.New("the services are not steady: their log groups tell why")
	}
	return err
}

// FindPlane finds the stack's data plane that another session has left running, if there is one.
func (s *Session) FindPlane() error {
	if s.options.Target.Home == "" {
		return nil
	}
	found, err := daemon.Find(s.planeRecord())
	if found != nil {
		s.Plane = *found
	}
	if s.planeEnded = err == nil && found == nil && daemon.Kept(s.planeRecord()); s.planeEnded {
		s.progress.Note(fmt.Sprintf("The data plane of stack %s has ended by itself, and with it its tasks, load balancer and database; %s tells why. "+
			"tap up starts them again, with an empty database.", s.options.Suffix, s.planeLog()))
	}
	return err
}

func (s *Session) planeRecord() string { return daemon.Path(s.options.Target.Home, s.options.Suffix) }

// startPlane starts the stack's data plane in this process.
func (s *Session) startPlane(ctx context.Context, notify func(string)) (*dataplane.Plane, error) {
	run, err := programs(ctx, s.options.DataPlane.Run, notify)
	if err != nil {
		return nil, err
	}
	door, token := s.Cloud.Door()
	plane, err := dataplane.Start(ctx, dataplane.Options{
		AWS: s.Cloud.Config, Door: door, Token: token, Run: run, Environment: s.Cloud.Endpoints(), Notify: notify,
		Cluster: s.nameOf(inventory.ECSCluster), Database: s.nameOf(inventory.DBCluster), LoadBalancer: s.nameOf(inventory.LoadBalancer),
	})
	if err != nil {
		return nil, fmt.Errorf("starting the data plane: %w", err)
	}
	return plane, nil
}

// nameOf is the name that the stack gives to the one resource of a kind that it has, or is to have.
func (s *Session) nameOf(kind *inventory.Kind) string {
	return cmp.Or(kind.NamesIn(s.options.Suffix)...)
}

// closePlane ends a data plane of this process.
func (s *Session) closePlane() error {
	own, is := s.Plane.(ownPlane)
	if !is {
		return nil
	}
	s.Plane = nil
	return own.Close()
}

// launchPlane starts a data plane that outlives the session.
func (s *Session) launchPlane(ctx context.Context) (*daemon.Record, error) {
	line := s.options.DataPlane.Daemon
	logs, err := os.OpenFile(s.planeLog(), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the data plane's log: %w", err)
	}
	defer func() { _ = logs.Close() }()
	//nolint:noctx // it is to outlive this process
	command := exec.Command(line[0], line[1:]...)
	command.Stderr = logs
	child, err := process.StartChild(command)
	if err != nil {
		return nil, fmt.Errorf("starting the data plane: %w", err)
	}
	defer child.Leave() // it ends with this process until it is told to stay
	ctx, cancel := context.WithTimeoutCause(ctx, planeStart, fmt.Errorf("it did not answer within %s", planeStart))
	defer cancel()
	record := &daemon.Record{}
	if err = child.Announced(ctx, record); err == nil {
		record.Run = s.options.DataPlane.Run
		err = record.Keep(s.planeRecord())
	}
	if err == nil {
		err = child.Stay()
	}
	if err != nil {
		said, _ := os.ReadFile(s.planeLog())
		return nil, errors.Join(fmt.Errorf("starting the data plane: %w: %s", err, printable.Text(strings.TrimSpace(string(said)))), process.Kill(child.PID))
	}
	return record, nil
}

func (s *Session) planeLog() string {
	return filepath.Join(s.options.Target.Home, "dataplane-"+s.options.Suffix+".log")
}

// stopPlane ends a data plane that outlives sessions, and forgets it.
func (s *Session) stopPlane(ctx context.Context) error {
	if s.options.Target.Home == "" {
		return nil
	}
	found, err := daemon.Find(s.planeRecord())
	if err == nil && found != nil {
		ctx, cancel := context.WithTimeout(ctx, planeStop)
		defer cancel()
		err = found.Stop(ctx)
	}
	if err != nil {
		return err
	}
	s.Plane = nil
	return errors.Join(daemon.Forget(s.planeRecord()), daemon.Forget(s.planeLog()))
}

// ServeDataPlane is the stack's data plane, in this process, until it is asked to end, ctx ends or the cloud is gone, or whoever
// started it is before having said that it may stay. ready hears, in JSON, where it answers.
func (s *Session) ServeDataPlane(ctx context.Context, starter io.Reader, ready io.Writer) error {
	if err := s.OpenCloud(ctx, target.Recorded); err != nil {
		return err
	}
	plane, err := s.startPlane(ctx, s.progress.Note)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(s.cloudGone(ctx)) }()
	go func() {
		if !process.Stays(starter) {
			cancel(errors.New("whoever started the data plane is gone"))
		}
	}()
	return daemon.Serve(ctx, plane, func(r daemon.Record) error { return json.NewEncoder(ready).Encode(r) })
}

// cloudGone waits until the emulator that the session's cloud is in is gone, or has not answered for long where it is not tap's own.
func (s *Session) cloudGone(ctx context.Context) (gone error) {
	answered := time.Now()
	_ = cloud.Poll(ctx, cloud.Wait{First: planeLook, Longest: planeLook}, func(ctx context.Context) (bool, error) {
		endpoint, err := target.Running(ctx, s.options.Target.Home)
		if err != nil || endpoint != "" {
			gone = err
			return Gone(gone), nil
		}
		if s.options.Target.Name == target.Local { // it was ended and forgotten
			gone = target.ErrNoEmulator
			return true, nil
		}
		asked, cancel := context.WithTimeout(ctx, planeLook)
		defer cancel()
		if _, gone = cloud.NewReader(s.Cloud.Config).Identity(asked); gone == nil {
			answered = time.Now()
		}
		return time.Since(answered) > silentLimit, nil
	})
	return gone
}
