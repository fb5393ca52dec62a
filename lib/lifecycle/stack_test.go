package lifecycle_test

import (
	"context"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"tapstack/lib/lifecycle"
	"tapstack/lib/process"
	"tapstack/lib/process/processtest"
)

func TestAStackIsPreviewedDeployedRefreshedAndDestroyed(t *testing.T) {
	t.Parallel()
	dir, cloud, heard := t.TempDir(), newToy(), &recorder{}
	stack := open(t, dir, cloud, things(thingArgs{Title: "one"}, thingArgs{Title: "two"}), heard)
	ctx := t.Context()

	planned := run(t, stack.Preview)
	require.Equal(t, 3, planned.Altered(), "two things and the stack itself")
	require.Zero(t, cloud.count())

	deployed := run(t, stack.Up)
	require.Equal(t, planned.Total(), deployed.Changes["create"])
	require.Equal(t, 2, cloud.count())
	require.Contains(t, heard.done, "create thing-1")

	again := run(t, stack.Up)
	require.Zero(t, again.Altered(), "%v", again.Changes)

	outputs, err := stack.Outputs(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, outputs["count"])
	require.Equal(t, "[secret]", outputs["hidden"])

	still := run(t, stack.Refresh)
	require.Zero(t, still.Altered(), "%v", still.Changes)

	cloud.things.Store("thing-0", thingArgs{Title: "changed by hand"})
	cloud.things.Delete("thing-1")
	drift := run(t, stack.Refresh)
	require.Len(t, drift.Changed, 2)
	byName := map[string]lifecycle.Step{}
	for _, step := range drift.Changed {
		byName[step.Name] = step
	}
	require.Equal(t, "update", byName["thing-0"].Op)
	require.Contains(t, byName["thing-0"].Properties, "title")
	require.Equal(t, "delete", byName["thing-1"].Op)

	destroyed := run(t, stack.Destroy)
	require.Equal(t, 2, destroyed.Changes["delete"])
	require.Zero(t, cloud.count())
	state, err := stack.State(ctx)
	require.NoError(t, err, "the state stays until it is proven that nothing is left")
	require.Zero(t, state.Resources)
}

func TestAStackThatDoesNotExistIsNamed(t *testing.T) {
	t.Parallel()
	stack := open(t, t.TempDir(), newToy(), things(), nil)
	for name, operation := range map[string]func(context.Context) (lifecycle.Result, error){
		"refresh": stack.Refresh, "destroy": stack.Destroy,
	} {
		_, err := operation(t.Context())
		require.ErrorIs(t, err, lifecycle.ErrNoStack, name)
		require.EqualError(t, err, "stack dev does not exist")
	}
}

func TestAFailureNamesTheResourceAndMasksSecrets(t *testing.T) {
	t.Parallel()
	cloud, heard := newToy(), &recorder{}
	stack := open(t, t.TempDir(), cloud, things(
		thingArgs{Title: "fine"},
		thingArgs{Title: "bad", Fault: "api error QuotaExceeded: no more; password=hunter2hunter2"},
		thingArgs{Title: "never reached"},
	), heard)

	_, err := stack.Up(t.Context())
	var fault *lifecycle.OperationError
	require.ErrorAs(t, err, &fault)
	require.Equal(t, "up of stack dev failed: toy:index:Thing thing-1: api error QuotaExceeded: no more; password=[secret]", err.Error())
	require.Equal(t, []string{"create thing-1"}, heard.failed)
	require.Equal(t, 1, cloud.count())
	run(t, stack.Destroy)
	require.Zero(t, cloud.count())
}

func TestAnInterruptedUpFinishesWhatIsInFlightAndLosesNothing(t *testing.T) {
	t.Parallel()
	dir, cloud := t.TempDir(), newToy()
	stack := open(t, dir, cloud, things(thingArgs{Title: "slow", Millis: 1500}, thingArgs{Title: "next", Millis: 1500}), nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-cloud.creating
		cancel(lifecycle.ErrInterrupted)
	}()
	_, err := stack.Up(ctx)
	require.ErrorIs(t, err, lifecycle.ErrInterrupted)
	require.Contains(t, err.Error(), "was interrupted")

	state, err := stack.State(t.Context())
	require.NoError(t, err)
	require.Empty(t, state.Pending, "the create in flight was waited for")
	require.Equal(t, 1, cloud.count())
	run(t, stack.Destroy)
	require.Zero(t, cloud.count())
}

func TestAKilledEngineLeavesAStackThatTheNextRunRepairs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killAndRepair(t, lifecycle.Options{Dir: dir}, dir)
}

// killAndRepair kills the engine while it creates a thing, then deploys again, from the folder elsewhere.
func killAndRepair(t *testing.T, options lifecycle.Options, elsewhere string) {
	t.Helper()
	processtest.SkipIfShort(t)
	cloud, heard := newToy(), &recorder{}
	engine, err := lifecycle.FindEngine(t.Context(), func(string) {})
	require.NoError(t, err)
	options.Project, options.Stack, options.Provider, options.Observer = "toy", "dev", cloud, heard
	options.Program = things(thingArgs{Title: "quick"}, thingArgs{Title: "slow", Millis: 2000})
	stack, err := lifecycle.Open(t.Context(), engine, options)
	require.NoError(t, err)
	go func() {
		for name := range cloud.creating {
			if name == "thing-1" {
				engine.Kill()
				return
			}
		}
	}()
	_, err = stack.Up(t.Context())
	require.Error(t, err)
	state, err := stack.State(t.Context())
	require.NoError(t, err)
	require.Len(t, state.Pending, 1)
	stack.Close()

	options.Dir = elsewhere
	again, err := lifecycle.Open(t.Context(), engine, options)
	require.NoError(t, err)
	defer again.Close()
	run(t, again.Up) // the dead engine's lock and its pending create are cleared
	require.Equal(t, 2, cloud.count())
	require.Contains(t, heard.diagnostics[0].Message, "killed while creating")
	run(t, again.Destroy)
	require.Zero(t, cloud.count())
}

func TestTwoAtOnceAreKeptApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, newToy(), things(), nil)
	engine, err := lifecycle.FindEngine(t.Context(), func(string) {})
	require.NoError(t, err)
	_, err = lifecycle.Open(t.Context(), engine, lifecycle.Options{Project: "toy", Stack: "dev", Dir: dir})
	var used *lifecycle.InUseError
	require.ErrorAs(t, err, &used)
	require.Equal(t, os.Getpid(), used.User.PID)
}

func TestTheStateIsForItsOwnerOnlyAndHoldsNoSecretInClear(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	stack := open(t, dir, newToy(), things(thingArgs{Title: "one"}), nil)
	run(t, stack.Up)
	stack.Close()

	for path, mode := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "passphrase"): 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	passphrase, err := os.ReadFile(filepath.Join(dir, "passphrase"))
	require.NoError(t, err)
	state := os.DirFS(dir)
	require.NoError(t, fs.WalkDir(state, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "passphrase" {
			return err
		}
		content, err := fs.ReadFile(state, path)
		require.NotContains(t, string(content), "a-secret-output", path)
		require.NotContains(t, string(content), strings.TrimSpace(string(passphrase)), path)
		return err
	}))
}

func TestTheEngineWritesNothingThatIsNotPutInPlaceAsAWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, open(t, dir, newToy(), things(thingArgs{Title: "one"}), nil).Up)
	written, err := filepath.Glob(filepath.Join(dir, "backend", ".pulumi", "stacks", "*", "*"))
	require.NoError(t, err)
	require.Len(t, written, 2, "the state and the one before")
	for _, file := range written {
		require.NotContains(t, file, ".attrs", "the program that reads the state while this is written gets none")
	}
}

func TestAStateFolderMayHaveAnyName(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "a#b 100%25 why? [all]*")
	killAndRepair(t, lifecycle.Options{Dir: dir}, dir)
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is written elsewhere")
}

func TestAPassphraseOfTheEnvironmentIsTakenWithAWordAndNotForADemo(t *testing.T) {
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "of another project")
	dir, heard := t.TempDir(), &recorder{}
	stack := open(t, dir, newToy(), things(thingArgs{Title: "one"}), heard)
	require.Len(t, heard.diagnostics, 1)
	require.Equal(t, "the secrets of stack dev are encrypted with PULUMI_CONFIG_PASSPHRASE, which is not written down: "+
		"every later command needs the same value", heard.diagnostics[0].Message)
	run(t, stack.Up)
	stack.Close()
	require.NoFileExists(t, filepath.Join(dir, "passphrase"))
	heard = &recorder{}
	stack = open(t, dir, newToy(), things(thingArgs{Title: "one"}), heard)
	require.Empty(t, heard.diagnostics, "it is known by now")
	run(t, stack.Destroy)

	dir, heard = t.TempDir(), &recorder{}
	openWith(t, lifecycle.Options{Dir: dir, Observer: heard, Ephemeral: true, Provider: newToy(), Program: things()})
	require.Empty(t, heard.diagnostics)
	require.FileExists(t, filepath.Join(dir, "passphrase"))
}

func TestAStateFolderMayBeGivenRelativeToTheWorkingDirectory(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	dir, err := filepath.Rel(here, t.TempDir())
	require.NoError(t, err)
	stack := open(t, dir, newToy(), things(thingArgs{Title: "one"}), nil)
	planned := run(t, stack.Preview)
	require.Equal(t, 2, planned.Altered())
}

// fullDisk is a folder on a disk of its own that has no more room than that.
func fullDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("only root can mount a small disk, and only Linux has tmpfs")
	}
	if output, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %s", output)
	}
	t.Cleanup(func() {
		output, err := exec.CommandContext(context.WithoutCancel(t.Context()), "umount", dir).CombinedOutput()
		require.NoError(t, err, "%s", output)
	})
	return dir
}

// leftOver is what others leave of a disk: too little to go on, and enough for a save that has begun. Without any, that save is
// cut short, and the last whole state put back.
const leftOver = 1 << 20

func TestAFullDiskLosesNothingThatTheEngineHadWritten(t *testing.T) {
	dir, cloud, heard := fullDisk(t, "32m"), newToy(), &recorder{}
	var program []thingArgs
	for range 4 {
		program = append(program, thingArgs{Title: strings.Repeat("much to write down ", 400), Millis: 300})
	}
	stack := open(t, filepath.Join(dir, "dev"), cloud, things(program...), heard)
	filler := filepath.Join(dir, "filler")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	started := time.Now()
	go func() {
		for name := range cloud.creating {
			if name == "thing-2" {
				file, err := os.Create(filler)
				for free := uint64(math.MaxUint64); err == nil && free > leftOver; {
					if _, err = file.Write(make([]byte, 4096)); err == nil {
						free, err = process.FreeSpace(dir)
					}
				}
				_ = file.Close()
				started = time.Now()
				return
			}
		}
	}()
	_, err := stack.Up(ctx)
	require.Less(t, time.Since(started), 20*time.Second, "the engine, left alone, would try for minutes")
	var full *lifecycle.FullDiskError
	require.ErrorAs(t, err, &full)
	require.Equal(t, "up of stack dev failed: the disk of "+filepath.Join(dir, "dev")+
		" is full, so that the state could not be written any further: make room, then run the command again", err.Error())
	state, err := stack.State(t.Context())
	require.NoError(t, err, "the state can be read")
	require.Empty(t, state.Pending, "what was under way was written down, in the room held back for it")
	require.Equal(t, cloud.count()+2, state.Resources, "with the stack and its provider")
	require.NoFileExists(t, filepath.Join(dir, "dev", "reserve"))
	require.NoError(t, os.Remove(filler))
	stack.Close()

	again := open(t, filepath.Join(dir, "dev"), cloud, things(program...), heard)
	run(t, again.Up)
	require.Equal(t, 4, cloud.count())
	run(t, again.Destroy)
	require.Zero(t, cloud.count())
}

// contents are the files below a folder that a later command goes by: settings, states and copies of them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path, filepath.Join(dir, "home")) || strings.Contains(path, "meta.yaml") {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // the test's own folder
		found[path] = string(content)
		return err
	}))
	return found
}

func TestAPreviewIsNotRemembered(t *testing.T) {
	t.Parallel()
	dir, cloud := t.TempDir(), newToy()
	program := func(ctx *pulumi.Context) error {
		colour, _ := ctx.GetConfig("toy:colour")
		require.Equal(t, "blue", colour, "the preview has its configuration")
		return things(thingArgs{Title: "two"})(ctx)
	}
	stack := open(t, dir, cloud, things(thingArgs{Title: "one"}), nil)
	fresh := contents(t, dir)
	planned := run(t, stack.Preview)
	require.Equal(t, 2, planned.Changes["create"])
	require.Equal(t, fresh, contents(t, dir), "no stack is made")
	_, err := stack.Outputs(t.Context())
	require.ErrorIs(t, err, lifecycle.ErrNoStack)

	run(t, stack.Up)
	stack.Close()
	before := contents(t, dir)
	other := openWith(t, lifecycle.Options{Program: program, Dir: dir, Provider: cloud}, func(o *lifecycle.Options) {
		o.Config = map[string]string{"colour": "blue"}
	})
	planned = run(t, other.Preview)
	require.Equal(t, 1, planned.Changes["update"])
	after := contents(t, dir)
	delete(before, filepath.Join(dir, "lock"))
	delete(after, filepath.Join(dir, "lock"))
	require.Equal(t, before, after)

	require.NoError(t, other.Remember(t.Context()))
	require.Contains(t, contents(t, dir)[filepath.Join(dir, "project", "Pulumi.dev.yaml")], "toy:colour: blue")
}
