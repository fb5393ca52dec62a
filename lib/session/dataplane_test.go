package session

import (
	"context"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"tapstack/lib/dataplane"
	"tapstack/lib/dataplane/daemon"
	"tapstack/lib/process"
	"tapstack/lib/target"
)

func TestADeploymentEndsWhoseFirstTasksDoNotStart(t *testing.T) {
	failed := dataplane.ServiceStatus{Name: "job-processor-dev", RolloutState: "FAILED", Desired: 2}
	stopped := dataplane.TaskStatus{
		Service: "job-processor-dev", LastStatus: "STOPPED", StoppedReason: "Essential container in task exited",
		Containers: []dataplane.ContainerStatus{{Name: "job-processor", ExitCode: aws.Int(1)}},
	}
	require.EqualError(t, notStarting(dataplane.Status{Services: []dataplane.ServiceStatus{failed}, Tasks: []dataplane.TaskStatus{stopped}}),
		"job-processor-dev does not start: Essential container in task exited (job-processor, exit code 1). Its log group tells what it printed")

	for what, change := range map[string]func(*dataplane.ServiceStatus){
		"former tasks go on":   func(s *dataplane.ServiceStatus) { s.Running = 1 },
		"none is wanted":       func(s *dataplane.ServiceStatus) { s.Desired = 0 },
		"it is still starting": func(s *dataplane.ServiceStatus) { s.RolloutState = "IN_PROGRESS" },
	} {
		other := failed
		change(&other)
		require.NoError(t, notStarting(dataplane.Status{Services: []dataplane.ServiceStatus{other}}), what)
	}
}

func TestADataPlaneThatHasEndedByItselfIsTold(t *testing.T) {
	home, said := t.TempDir(), &notes{}
	s, _ := New(t.Context(), Options{Suffix: "dev", Target: target.Options{Name: target.Local, Home: home}, Progress: said})
	require.NoError(t, s.FindPlane())
	require.Empty(t, said.lines, "there was none")
	require.NoError(t, daemon.Record{PID: os.Getpid(), Born: "at another time"}.Keep(daemon.Path(home, "dev")))
	require.NoError(t, s.FindPlane())
	require.Nil(t, s.Plane)
	require.Len(t, said.lines, 1)
	require.Contains(t, said.lines[0], "The data plane of stack dev has ended by itself")
	require.Contains(t, said.lines[0], "tap up starts them again")
	s.Cloud = &target.Target{Name: target.Local}
	_, err := s.migrate(t.Context())
	require.ErrorContains(t, err, "tap up starts it again")
}

// told is a plane that has a status.
type told struct {
	Plane
	status dataplane.Status
}

func (p told) Status(context.Context) (dataplane.Status, error) { return p.status, nil }

func TestADataPlaneThatBeginsAnewStartsAllThatIsDeployed(t *testing.T) {
	s, _ := New(t.Context(), Options{Suffix: "dev"})
	s.Plane = told{status: dataplane.Status{Services: []dataplane.ServiceStatus{{Name: "payment-api-dev", Desired: 3, Running: 3, Steady: true}}}}
	require.NoError(t, s.allStarted(t.Context()))
	s.Plane = told{status: dataplane.Status{Services: []dataplane.ServiceStatus{{Name: "payment-api-dev", Desired: 3, RolloutState: "FAILED"}}}}
	require.ErrorContains(t, s.allStarted(t.Context()), "payment-api-dev does not start")
}

func TestProgramsThatADataPlaneDoesNotRunAreRefused(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, daemon.Record{PID: os.Getpid(), Born: process.Birth(os.Getpid()), Run: map[string][]string{"payment-api": {"/my-api"}}}.Keep(daemon.Path(home, "dev")))
	open := func(run map[string][]string) error {
		s, _ := New(t.Context(), Options{Suffix: "dev", Target: target.Options{Name: target.Local, Home: home}, DataPlane: &DataPlane{Run: run}})
		return s.openPlane(t.Context(), target.Kept)
	}
	require.NoError(t, open(map[string][]string{}), "it goes on")
	require.NoError(t, open(map[string][]string{"payment-api": {"/my-api"}}))
	require.ErrorContains(t, open(map[string][]string{"payment-api": {"/my-api", "-v"}}), "another program for payment-api")
	require.ErrorContains(t, open(map[string][]string{"job-processor": {"/worker"}}), "another program for job-processor")
}

func TestProgramsThatStandForImagesAreChecked(t *testing.T) {
	run, err := Programs([]string{"payment-api=sh -c true", "job-processor=sh"})
	require.NoError(t, err)
	require.Equal(t, []string{"-c", "true"}, run["payment-api"][1:])
	require.FileExists(t, run["job-processor"][0])
	_, err = Programs([]string{"payment-api", "billing=sh", "job-processor=sh", "job-processor=sh", "payment-migrate=no-such-program"})
	for _, fault := range []string{
		`--run "payment-api" is not CONTAINER=COMMAND`, "--run billing: there is no such container: choose one of payment-api, job-processor, payment-migrate",
		"--run job-processor is given twice", "--run payment-migrate: ",
	} {
		require.ErrorContains(t, err, fault)
	}
}
