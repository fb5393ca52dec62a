package lifecycle

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2/maybe"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"gopkg.in/yaml.v3"

	"tapstack/lib/cache"
	"tapstack/lib/process"
)

const passphraseVariable = "PULUMI_CONFIG_PASSPHRASE"

// folder is where everything about one stack lives: the engine's state and the passphrase of the secrets, unless both
// are in AWS, and its home.
type folder string

func (f folder) home() string       { return filepath.Join(string(f), "home") }
func (f folder) backend() string    { return filepath.Join(string(f), "backend") }
func (f folder) project() string    { return filepath.Join(string(f), "project") }
func (f folder) passphrase() string { return filepath.Join(string(f), "passphrase") }
func (f folder) lock() string       { return filepath.Join(string(f), "lock") }
func (f folder) id() string         { return filepath.Join(string(f), "id") }

// backendURL is what Pulumi takes for a folder: it reads #, % and ? in a path as a URL does. The engine is not to write the
// attributes of a state (https://gocloud.dev/howto/blob/#local): that file is not put in place as a whole, and whoever reads
// the state meanwhile, as the program does, gets none.
func (f folder) backendURL() string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(f.backend()), RawQuery: "metadata=skip"}).String()
}

func (f folder) settings(stack string) string {
	return filepath.Join(f.project(), "Pulumi."+stack+".yaml")
}

// state is where Pulumi's file backend has the state.
func (f folder) state(project, stack string) string {
	return filepath.Join(f.backend(), ".pulumi", "stacks", project, stack+".json")
}

// make creates what is missing, for the user's eyes only.
func (f folder) make() error {
	for _, path := range []string{string(f), f.home(), f.backend(), f.project()} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return fmt.Errorf("making the state folder: %w", err)
		}
	}
	if err := os.Chmod(string(f), 0o700); err != nil {
		return fmt.Errorf("closing the state folder to others: %w", err)
	}
	return nil
}

// mend repairs what an engine leaves that is killed while it writes, or has no room to write. In place of a state that is cut
// short comes the last whole one, which a DamagedError tells; what came between the two is settled as after any killed run.
// Attributes that were once written beside a state go: cut short, they keep the engine from reading it.
func (f folder) mend(project, stack string) error {
	state := f.state(project, stack)
	if err := errors.Join(removeAny(state+".attrs"), removeAny(state+".bak.attrs")); err != nil {
		return fmt.Errorf("repairing the state of stack %s: %w", stack, err)
	}
	switch err := f.keep(project, stack); {
	case errors.Is(err, errCut):
		return f.restore(project, stack)
	case err != nil:
		return fmt.Errorf("reading back the state of stack %s: %w", stack, err)
	}
	return nil
}

// sharePlugins lets the official plugins, hundreds of megabytes each, outlive the folder.
func (f folder) sharePlugins() error {
	dir, err := cache.Dir()
	if err != nil {
		return err
	}
	shared := filepath.Join(dir, "plugins")
	if err := os.MkdirAll(shared, 0o750); err != nil {
		return fmt.Errorf("making the plugin cache: %w", err)
	}
	err = os.Symlink(shared, filepath.Join(f.home(), "plugins"))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("linking the plugin cache: %w", err)
	}
	return nil
}

// readPassphrase answers with the passphrase that was written down, or with none.
func (f folder) readPassphrase() (string, error) {
	content, err := os.ReadFile(f.passphrase())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// makePassphrase writes down a new passphrase for a stack that has not begun.
func (f folder) makePassphrase(stack string) (string, error) {
	if f.begun(stack) {
		return "", fmt.Errorf("the state in %s is encrypted with a passphrase that is not there: set %s", f, passphraseVariable)
	}
	made := rand.Text() + rand.Text()
	if err := maybe.WriteFile(f.passphrase(), []byte(made+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the passphrase: %w", err)
	}
	return made, nil
}

// begun says whether the engine has made the stack.
func (f folder) begun(stack string) bool {
	_, err := os.Stat(f.settings(stack))
	return err == nil
}

// holder is the process that the engine's lock on a stack belongs to.
type holder struct {
	PID       int       `json:"pid"`
	Hostname  string    `json:"hostname"`
	Timestamp time.Time `json:"timestamp"`
	file      string
}

// alive is true when in doubt: a lock taken on another host cannot be judged here.
func (h holder) alive() bool {
	host, err := os.Hostname()
	if err != nil || host != h.Hostname || h.PID <= 0 {
		return true
	}
	return process.Alive(h.PID)
}

// holders lists who holds the engine's lock on a stack, in the layout of Pulumi's file backend.
func (f folder) holders(project, stack string) ([]holder, error) {
	locks := filepath.Join(f.backend(), ".pulumi", "locks", "organization", project, stack)
	entries, err := os.ReadDir(locks)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the locks: %w", err)
	}
	var holders []holder
	for _, entry := range entries {
		file := filepath.Join(locks, entry.Name())
		if filepath.Ext(file) != ".json" {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a lock: %w", err)
		}
		held, err := readHolder(file, content)
		if err != nil {
			return nil, err
		}
		holders = append(holders, held)
	}
	return holders, nil
}

func readHolder(file string, content []byte) (holder, error) {
	held := holder{file: file}
	if err := json.Unmarshal(content, &held); err != nil {
		return held, fmt.Errorf("reading the lock %s: %w", file, err)
	}
	return held, nil
}

// States is where the states of one project's stacks are kept.
type States interface {
	// Exists says whether a stack has a state.
	Exists(ctx context.Context, stack string) (bool, error)
	// List names the stacks that have one.
	List(ctx context.Context) ([]string, error)
	// Config is the configuration that a stack was last deployed with, without the project's namespace. It is empty for a
	// stack that was never deployed.
	Config(ctx context.Context, stack string) (map[string]string, error)
	// Setting is one value of the configuration that a stack was last deployed with, by its key with the namespace. It is
	// empty where there is none.
	Setting(ctx context.Context, stack, key string) (string, error)
	// Forget removes all that is kept of a destroyed stack.
	Forget(ctx context.Context, stack string) error
}

// Folders keeps the state of each stack in a folder of its own, named after it.
type Folders struct {
	Project string
	// Home is where the folders are. It need not exist.
	Home string
}

var _ States = Folders{}

// Exists says whether a stack has a state.
func (f Folders) Exists(_ context.Context, stack string) (bool, error) {
	_, err := os.Stat(f.folder(stack).state(f.Project, stack))
	return err == nil, nil
}

// List names the stacks that have a state.
func (f Folders) List(ctx context.Context) ([]string, error) {
	entries, err := os.ReadDir(f.Home)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the stacks: %w", err)
	}
	var stacks []string
	for _, entry := range entries {
		if exists, _ := f.Exists(ctx, entry.Name()); exists {
			stacks = append(stacks, entry.Name())
		}
	}
	return stacks, nil
}

// Config is the configuration that a stack was last deployed with.
func (f Folders) Config(_ context.Context, stack string) (map[string]string, error) {
	content, err := f.settings(stack)
	if err != nil {
		return nil, err
	}
	return configIn(content, f.Project)
}

// Setting is one value of the configuration that a stack was last deployed with.
func (f Folders) Setting(_ context.Context, stack, key string) (string, error) {
	content, err := f.settings(stack)
	if err != nil {
		return "", err
	}
	return settingIn(content, key)
}

func (f Folders) settings(stack string) ([]byte, error) {
	content, err := os.ReadFile(f.folder(stack).settings(stack))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the stored configuration: %w", err)
	}
	return content, nil
}

// Forget removes the stack's folder.
func (f Folders) Forget(_ context.Context, stack string) error {
	if err := os.RemoveAll(string(f.folder(stack))); err != nil {
		return fmt.Errorf("removing the state of stack %s: %w", stack, err)
	}
	return nil
}

func (f Folders) folder(stack string) folder { return folder(filepath.Join(f.Home, stack)) }

// configIn reads the program's configuration out of a stack's settings.
func configIn(content []byte, project string) (map[string]string, error) {
	settings, err := settingsIn(content)
	values := make(map[string]string)
	for key, value := range settings {
		if name, found := strings.CutPrefix(key, project+":"); found {
			values[name] = fmt.Sprint(value)
		}
	}
	return values, err
}

func settingIn(content []byte, key string) (string, error) {
	settings, err := settingsIn(content)
	value, _ := settings[key].(string)
	return value, err
}

func settingsIn(content []byte) (map[string]any, error) {
	var settings struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(content, &settings); err != nil {
		return nil, fmt.Errorf("reading the stored configuration: %w", err)
	}
	return settings.Config, nil
}

// State is what the engine remembers of a stack.
type State struct {
	Resources int // providers and components included
	Pending   []Step
	// Protected says that the engine refuses to delete one of the resources, or will where it is pending.
	Protected bool
}

// exportedState is the engine's state as the CLI exports and imports it.
type exportedState struct {
	Version    int                  `json:"version"`
	Features   []string             `json:"features,omitempty"`
	Deployment apitype.DeploymentV3 `json:"deployment"`
}

// export reads the engine's state. Secrets stay encrypted on the way.
func (s *Stack) export(ctx context.Context) (exported exportedState, err error) {
	if _, err := s.existing(ctx); err != nil {
		return exported, err
	}
	if s.options.Bucket == nil {
		if exported, err := s.folder.export(s.options.Project, s.options.Stack); err == nil {
			return exported, nil
		}
	}
	text, stderr, _, err := s.command.Run(ctx, s.folder.project(), nil, nil, nil, nil, "stack", "export", "--stack", s.options.Stack)
	if why := s.command.ended; err != nil && why != nil {
		return exported, fmt.Errorf("reading the state of stack %s: %w", s.options.Stack, why)
	}
	if err != nil {
		failure, _ := fromStderr(stderr)
		return exported, fmt.Errorf("reading the state of stack %s: %s", s.options.Stack, s.mask(failure.Message))
	}
	if err := json.Unmarshal([]byte(text), &exported); err != nil {
		return exported, fmt.Errorf("reading the state of stack %s: %w", s.options.Stack, err)
	}
	return exported, nil
}

// errForeign says that only the CLI reads a state.
var errForeign = errors.New("a state of another version")

// export reads the state from its file, as the CLI does that exports it, in half a second of processor time. One of another
// version, which the CLI would bring up to date, is left to that, and so is one that cannot be read, for what it says of it.
func (f folder) export(project, stack string) (exported exportedState, err error) {
	content, err := os.ReadFile(f.state(project, stack))
	if err != nil {
		return exported, err
	}
	var file apitype.VersionedCheckpoint
	if err := json.Unmarshal(content, &file); err != nil {
		return exported, err
	}
	if file.Version != apitype.DeploymentSchemaVersionCurrent {
		return exported, errForeign
	}
	var checkpoint apitype.CheckpointV3
	if err := json.Unmarshal(file.Checkpoint, &checkpoint); err != nil {
		return exported, err
	}
	exported.Version, exported.Features = file.Version, file.Features
	if checkpoint.Latest != nil {
		exported.Deployment = *checkpoint.Latest
	}
	return exported, nil
}

// Outputs are the stack's outputs. Those that are secret read "[secret]".
func (s *Stack) Outputs(ctx context.Context) (map[string]any, error) {
	exported, err := s.export(ctx)
	if err != nil {
		return nil, err
	}
	outputs := map[string]any{}
	for _, r := range exported.Deployment.Resources {
		if r.Type == resource.RootStackType {
			for name, value := range r.Outputs {
				outputs[name] = readable(value)
			}
		}
	}
	return outputs, nil
}

// State reads the engine's state.
func (s *Stack) State(ctx context.Context) (State, error) {
	exported, err := s.export(ctx)
	if err != nil {
		return State{}, err
	}
	state := State{Resources: len(exported.Deployment.Resources)}
	for _, r := range exported.Deployment.Resources {
		state.Protected = state.Protected || r.Protect
	}
	for _, pending := range exported.Deployment.PendingOperations {
		state.Protected = state.Protected || pending.Resource.Protect
		kind, name := typeAndName(string(pending.Resource.URN))
		state.Pending = append(state.Pending, Step{
			Op: string(pending.Type), Type: kind, Name: name, URN: string(pending.Resource.URN),
		})
	}
	return state, nil
}
