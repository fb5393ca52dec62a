// Package workflows reads the project's GitHub workflows and holds them to the rules that are its own: who may do what, in
// which order, what runs after a failure, and that whatever they call exists. What every repository should keep is
// zizmor's (.github/zizmor.yml). It looks at files only. Whether the commands that the workflows give to tap are right is
// tested beside tap.
package workflows

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Set is the workflows and the composite actions of a repository, by their paths in it.
type Set struct {
	Workflows map[string]*Workflow
	Actions   map[string]*Action
	// files are the texts of all of them; tree is the repository itself, with other texts for what is changed.
	files   map[string]string
	tree    fs.FS
	changed map[string]string
}

// Workflow is a file in .github/workflows. A key that these types lack is an error: no rule would look at it.
type Workflow struct {
	Name        string             `yaml:"name"`
	On          map[string]trigger `yaml:"on"`
	Permissions map[string]string  `yaml:"permissions"`
	Concurrency concurrency        `yaml:"concurrency"`
	Defaults    struct {
		Run struct {
			Shell string `yaml:"shell"`
		} `yaml:"run"`
	} `yaml:"defaults"`
	Env  map[string]string `yaml:"env"`
	Jobs map[string]*Job   `yaml:"jobs"`
}

type trigger struct {
	Branches []string
	Cron     []string
}

// UnmarshalYAML reads what the rules look at: a schedule is a list, every other trigger a mapping or nothing.
func (t *trigger) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		var schedule []struct {
			Cron string `yaml:"cron"`
		}
		err := node.Decode(&schedule)
		for _, it := range schedule {
			t.Cron = append(t.Cron, it.Cron)
		}
		return err
	}
	var event struct {
		Branches []string `yaml:"branches"`
	}
	err := node.Decode(&event)
	t.Branches = event.Branches
	return err
}

type concurrency struct {
	Group  string `yaml:"group"`
	Cancel bool   `yaml:"cancel-in-progress"`
	Queue  string `yaml:"queue"`
}

// Job is a job of a workflow: steps of its own, or a call of another workflow.
type Job struct {
	Needs       names             `yaml:"needs"`
	If          string            `yaml:"if"`
	RunsOn      string            `yaml:"runs-on"`
	Timeout     int               `yaml:"timeout-minutes"` // minutes
	Environment string            `yaml:"environment"`
	Permissions map[string]string `yaml:"permissions"`
	Env         map[string]string `yaml:"env"`
	Uses        string            `yaml:"uses"`
	With        map[string]string `yaml:"with"`
	Secrets     any               `yaml:"secrets"`
	Outputs     map[string]string `yaml:"outputs"`
	Continue    string            `yaml:"continue-on-error"`
	Steps       []Step            `yaml:"steps"`
}

// Step is a step of a job or of a composite action.
type Step struct {
	ID       string            `yaml:"id"`
	Name     string            `yaml:"name"`
	If       string            `yaml:"if"`
	Uses     string            `yaml:"uses"`
	With     map[string]string `yaml:"with"`
	Shell    string            `yaml:"shell"`
	Run      string            `yaml:"run"`
	Env      map[string]string `yaml:"env"`
	Timeout  int               `yaml:"timeout-minutes"` // minutes
	Continue string            `yaml:"continue-on-error"`
}

// Action is a composite action in .github/actions.
type Action struct {
	Name        string         `yaml:"name"`
	Description string         `yaml:"description"`
	Inputs      map[string]any `yaml:"inputs"`
	Runs        struct {
		Using string `yaml:"using"`
		Steps []Step `yaml:"steps"`
	} `yaml:"runs"`
}

// names is a list of names, or one.
type names []string

// UnmarshalYAML takes both spellings.
func (n *names) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*n = names{node.Value}
		return nil
	}
	return node.Decode((*[]string)(n))
}

// Read reads all workflows and actions of the repository. changed replaces the texts of files, for tests.
func Read(repository fs.FS, changed map[string]string) (*Set, error) {
	set := &Set{Workflows: map[string]*Workflow{}, Actions: map[string]*Action{}, files: map[string]string{}, tree: repository, changed: changed}
	for _, pattern := range []string{".github/workflows/*.y*ml", ".github/actions/*/action.y*ml"} {
		found, err := fs.Glob(repository, pattern)
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", pattern, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("no file matches %s: is this the repository?", pattern)
		}
		for _, file := range found {
			if err := set.read(file); err != nil {
				return nil, err
			}
		}
	}
	return set, nil
}

// text is the text of any file of the repository.
func (s *Set) text(file string) (string, error) {
	if text, given := s.changed[file]; given {
		return text, nil
	}
	content, err := fs.ReadFile(s.tree, file)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	return string(content), nil
}

func (s *Set) read(file string) error {
	text, err := s.text(file)
	if err != nil {
		return err
	}
	s.files[file] = text
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if strings.HasPrefix(file, ".github/workflows/") {
		s.Workflows[path.Base(file)], err = decoded[Workflow](decoder)
	} else {
		s.Actions[path.Base(path.Dir(file))], err = decoded[Action](decoder)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}

func decoded[T any](decoder *yaml.Decoder) (*T, error) {
	into := new(T)
	return into, decoder.Decode(into)
}

// Script is a run script with where it stands.
type Script struct {
	Where string
	Text  string
}

// Scripts are all run scripts, in a fixed order.
func (s *Set) Scripts() []Script {
	var scripts []Script
	s.eachStep(func(where string, step Step) {
		if step.Run != "" {
			scripts = append(scripts, Script{where, step.Run})
		}
	})
	return scripts
}

// eachStep visits the steps of all jobs and actions, in a fixed order.
func (s *Set) eachStep(visit func(where string, step Step)) {
	s.eachJob(func(where string, job *Job) { eachOf(where, job.Steps, visit) })
	for _, name := range sorted(s.Actions) {
		eachOf("action "+name, s.Actions[name].Runs.Steps, visit)
	}
}

func eachOf(where string, steps []Step, visit func(string, Step)) {
	for index, step := range steps {
		visit(where+": "+cmp.Or(step.Name, fmt.Sprintf("step %d", index+1)), step)
	}
}

// eachJob visits all jobs as file/job, in a fixed order.
func (s *Set) eachJob(visit func(where string, job *Job)) {
	for _, file := range sorted(s.Workflows) {
		for _, name := range sorted(s.Workflows[file].Jobs) {
			visit(file+"/"+name, s.Workflows[file].Jobs[name])
		}
	}
}

func sorted[T any](of map[string]T) []string { return slices.Sorted(maps.Keys(of)) }
