package reliability

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"tapstack/lib/lifecycle/cli"
	"tapstack/lib/process/python"
	"tapstack/lib/target"
)

//go:embed account.py foreign.py
var scripts embed.FS

// Emulator is moto as the project runs it, which outlives the commands and tells all that is in it.
type Emulator struct {
	Endpoint string
	command  *exec.Cmd
	leash    io.Closer
}

// StartEmulator starts one that keeps its scripts and its log in a folder. It ends with this process at the latest.
func StartEmulator(ctx context.Context, folder string) (*Emulator, error) {
	moto, err := target.LookForMoto(ctx)
	if err == nil && !moto.Ready { // whoever opens the local target first installs it
		var cloud *target.Target
		if cloud, err = target.Open(ctx, target.Options{Name: target.Local}); err == nil {
			err = cloud.Close()
		}
	}
	if err != nil {
		return nil, err
	}
	if moto.Python == "" {
		return nil, fmt.Errorf("moto in a container cannot be listed from within: install Python")
	}
	root, err := cli.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(folder, scripts); err != nil {
		return nil, err
	}
	e := &Emulator{command: exec.CommandContext(ctx, moto.Python, "-P", filepath.Join(folder, "account.py"),
		filepath.Join(root, "lib", "target", "emulator.py"), "127.0.0.1", "0", "")}
	e.command.Env = append(python.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "TAPSTACK_TOKEN=reliability")
	if e.command.Stderr, err = os.Create(filepath.Join(folder, "emulator.log")); err != nil {
		return nil, err
	}
	stdout, err := e.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if e.leash, err = e.command.StdinPipe(); err != nil {
		return nil, err
	}
	if err := e.command.Start(); err != nil {
		return nil, err
	}
	var announced struct{ Port int }
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &announced)
	}
	if err != nil {
		return nil, fmt.Errorf("starting the emulator: %w", err)
	}
	e.Endpoint = fmt.Sprintf("http://127.0.0.1:%d", announced.Port)
	return e, nil
}

// Stop ends it.
func (e *Emulator) Stop() {
	_ = e.leash.Close()
	_ = e.command.Wait()
}

func (e *Emulator) ask(ctx context.Context, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, e.Endpoint+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.200s", method, path, response.Status, body)
	}
	return body, err
}

// reset empties the account. That is the test's doing alone: it is cheaper than a new emulator.
func (e *Emulator) reset(ctx context.Context) error {
	_, err := e.ask(ctx, http.MethodPost, "/moto-api/reset")
	return err
}

// Crowd makes what others have in an account: of every kind that the project lists, those numbered from start to end.
func (e *Emulator) Crowd(ctx context.Context, start, end int) error {
	_, err := e.ask(ctx, http.MethodPost, fmt.Sprintf("/foreign?from=%d&to=%d", start, end))
	return err
}

// Account is everything in the account, by kind.
type Account map[string][]string

// List asks the emulator, of which it takes no word of the project's own.
func (e *Emulator) List(ctx context.Context) (Account, error) {
	body, err := e.ask(ctx, http.MethodGet, "/account")
	if err != nil {
		return nil, err
	}
	var held Account
	return held, json.Unmarshal(body, &held)
}

// Without is what is in the account and not in another listing, a line each.
func (a Account) Without(other Account) []string {
	var found []string
	for _, kind := range slices.Sorted(maps.Keys(a)) {
		for _, name := range a[kind] {
			if !slices.Contains(other[kind], name) {
				found = append(found, kind+" "+name)
			}
		}
	}
	return found
}

// differences tells of two listings how many there are of each kind, where that differs: what was made twice, or is missing.
func (a Account) differences(want Account) []string {
	kinds := map[string]bool{}
	for _, listing := range []Account{a, want} {
		for kind := range listing {
			kinds[kind] = true
		}
	}
	var found []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if len(a[kind]) != len(want[kind]) {
			found = append(found, fmt.Sprintf("%d %s instead of %d: %s", len(a[kind]), kind, len(want[kind]), strings.Join(a[kind], ", ")))
		}
	}
	return found
}

// tapVariable names a tap that is built already.
const tapVariable = "TAPSTACK_RELIABILITY_TAP"

// buildTap builds tap, once for a test process, unless one is named.
func buildTap(ctx context.Context, folder string) (string, error) {
	if given := os.Getenv(tapVariable); given != "" {
		return given, nil
	}
	root, err := cli.RepositoryRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "tap")
	command := exec.CommandContext(ctx, "go", "build", "-C", root, "-o", path, "./bin/tap")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building tap: %w\n%s", err, output)
	}
	return path, nil
}
