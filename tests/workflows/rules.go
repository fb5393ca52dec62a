package workflows

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Rule is one property that the workflows must have.
type Rule struct {
	Says   string
	faults func(*Set, *faults)
}

// Faults tells where the workflows break the rule.
func (r Rule) Faults(set *Set) []string {
	var found faults
	r.faults(set, &found)
	return found
}

type faults []string

func (f *faults) add(format string, arguments ...any) {
	*f = append(*f, fmt.Sprintf(format, arguments...))
}

// same adds a fault unless got is want.
func (f *faults) same(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.add("%s is %v, want %v", what, got, want)
	}
}

// Rules are all rules.
func Rules() []Rule {
	return []Rule{
		{"the version of a pinned action stands beside its commit, and both are the same everywhere", versioned},
		{"a workflow has no rights of its own, and every job exactly those in the table", permissions},
		{"every job that runs steps has a time limit of its own, and a machine whose version is known", limits},
		{"workflows start when the table says, and never with the rights of a pull request's target", triggers},
		{"what touches the account runs one at a time, and nothing that waits for it is cancelled or dropped", oneAtATime},
		{"no secret is used anywhere, and no long-lived key", noSecrets},
		{"scripts stop at the first error", strictShell},
		{"AWS is reached in the environment nightly only, by its role, in a session longer than the job", sessions},
		{"the variables that are read are those in the table, and the runbook tells each", variables},
		{"the nightly tells its cost, deploys, pays, acts on the stack to check it, updates it, and checks again", nightlyOrder},
		{"whatever happened to the deployment, another machine destroys the stack", alwaysDestroyed},
		{"after the destruction, failed or not, the rest is swept and the proof is made that nothing is left", alwaysSwept},
		{"the weekly sweep is held to its result", weeklySweep},
		{"a failure opens an issue or comments on the open one, from a job without rights on AWS", told},
		{"reports are kept and shown whatever happened", reports},
		{"pull requests run what .ci/run runs", likeCI},
		{"what compiles is called through make, whose flags decide what the caches are good for", throughMake},
		{"make targets, scripts and workflows that are called exist", called},
	}
}

var pin = regexp.MustCompile(`uses: ([^.@\s][^@\s]*)@(\S+)(?: # (v\d+\.\d+\.\d+)\n)?`)

// versioned reads texts, not YAML, since the version is a comment.
func versioned(s *Set, f *faults) {
	pins := map[string]string{}
	for _, file := range sorted(s.files) {
		for _, match := range pin.FindAllStringSubmatch(s.files[file], -1) {
			action, pinned := match[1], match[2]+" # "+match[3]
			if match[3] == "" {
				f.add("%s: %s is without its version", file, action)
			}
			if before := pins[action]; before != "" && before != pinned {
				f.add("%s: %s has another pin elsewhere", file, action)
			}
			pins[action] = pinned
		}
	}
}

var (
	reads = map[string]string{"contents": "read"}
	oidc  = map[string]string{"contents": "read", "id-token": "write"}
	tells = map[string]string{"issues": "write"}
	none  = map[string]string{}
)

// rights are what each job may do with GitHub.
var rights = map[string]map[string]string{
	"pull-request.yml/lint":        reads,
	"pull-request.yml/unit":        reads,
	"pull-request.yml/integration": reads,
	"pull-request.yml/reliability": reads,
	"pull-request.yml/report":      reads,
	"nightly.yml/settings":         none,
	"nightly.yml/deploy":           oidc,
	"nightly.yml/destroy":          oidc,
	"nightly.yml/tell":             tells,
	"clean-up.yml/clean-up":        oidc,
	"destroy.yml/destroy":          oidc,
	"sweep.yml/settings":           none,
	"sweep.yml/sweep":              oidc,
	"sweep.yml/tell":               tells,
	"tell.yml/tell":                tells,
}

func permissions(s *Set, f *faults) {
	for _, file := range sorted(s.Workflows) {
		if given := s.Workflows[file].Permissions; given == nil || len(given) > 0 {
			f.add("%s: the permissions of the workflow are %v, want {}", file, given)
		}
	}
	met := map[string]bool{}
	s.eachJob(func(where string, job *Job) {
		met[where] = true
		want, known := rights[where]
		if !known {
			f.add("%s: the table has no such job", where)
		} else if job.Permissions == nil || !maps.Equal(job.Permissions, want) {
			f.add("%s: the permissions are %v, want %v", where, job.Permissions, want)
		}
	})
	for _, where := range sorted(rights) {
		if !met[where] {
			f.add("%s: there is no such job", where)
		}
	}
}

// longest is the longest that a job may run, in minutes: a session of AWS lasts three hours at most by the runbook.
const longest = 160

func limits(s *Set, f *faults) {
	s.eachJob(func(where string, job *Job) {
		if job.Uses != "" {
			return
		}
		if job.Timeout < 1 || job.Timeout > longest {
			f.add("%s: the limit is %d minutes, want 1 to %d", where, job.Timeout, longest)
		}
		f.same(where+": the machine", job.RunsOn, "ubuntu-24.04")
	})
}

// events are what starts each workflow.
var events = map[string]map[string]trigger{
	"pull-request.yml": {"pull_request": {}, "push": {Branches: []string{"main"}}},
	"nightly.yml":      {"schedule": {Cron: []string{"17 2 * * *"}}, "workflow_dispatch": {}},
	"sweep.yml":        {"schedule": {Cron: []string{"41 9 * * 0"}}, "workflow_dispatch": {}},
	"destroy.yml":      {"workflow_dispatch": {}},
	"clean-up.yml":     {"workflow_call": {}},
	"tell.yml":         {"workflow_call": {}},
}

func triggers(s *Set, f *faults) {
	f.same("the workflows", sorted(s.Workflows), sorted(events))
	for _, file := range sorted(s.Workflows) {
		f.same(file+": what starts it", s.Workflows[file].On, events[file])
	}
}

func oneAtATime(s *Set, f *faults) {
	account := concurrency{Group: "tapstack-aws", Queue: "max"}
	for file, want := range map[string]concurrency{
		"nightly.yml":      account,
		"destroy.yml":      account,
		"sweep.yml":        account,
		"clean-up.yml":     {}, // runs within the turn of its caller
		"tell.yml":         {},
		"pull-request.yml": {Group: "${{ github.workflow }}-${{ github.ref }}", Cancel: true},
	} {
		if w := s.Workflows[file]; w != nil {
			f.same(file+": concurrency", w.Concurrency, want)
		}
	}
}

// longLived are words of secrets and of keys that do not end by themselves.
var longLived = regexp.MustCompile(`(?i)\bsecrets\s*[.\[:]|secrets: inherit|aws[-_]access[-_]key|aws[-_]secret|\bAKIA[0-9A-Z]|password|\bPAT\b`)

func noSecrets(s *Set, f *faults) {
	for _, file := range sorted(s.files) {
		for number, line := range strings.Split(s.files[file], "\n") {
			if found := longLived.FindString(line); found != "" {
				f.add("%s:%d: %s", file, number+1, found)
			}
		}
	}
}

// heedless are ways to go on after an error; an if or a test says better what may fail.
var heedless = regexp.MustCompile(`\|\|\s*(true|:)|set \+e|set \+o`)

const shell = "bash --noprofile --norc -euo pipefail {0}"

func strictShell(s *Set, f *faults) {
	s.eachJob(func(where string, job *Job) {
		if job.Continue != "" {
			f.add("%s goes on after an error", where)
		}
	})
	s.eachStep(func(where string, step Step) {
		if step.Continue != "" {
			f.add("%s goes on after an error", where)
		}
		if step.Run == "" {
			return
		}
		if found := heedless.FindString(step.Run); found != "" {
			f.add("%s: %q goes on after an error", where, found)
		}
		used := step.Shell
		if file, _, inJob := strings.Cut(where, "/"); inJob && used == "" {
			used = s.Workflows[file].Defaults.Run.Shell
		}
		f.same(where+": the shell", used, shell)
	})
}

func usesAWS(job *Job) bool {
	return slices.ContainsFunc(job.Steps, func(step Step) bool { return step.Uses == "./.github/actions/aws" })
}

func sessions(s *Set, f *faults) {
	s.eachJob(func(where string, job *Job) {
		if job.Uses != "" {
			return
		}
		if usesAWS(job) != (job.Permissions["id-token"] == "write") {
			f.add("%s: id-token: write and the AWS session go together", where)
		}
		if !usesAWS(job) {
			return
		}
		f.same(where+": the environment", job.Environment, "nightly")
		f.same(where+": the accounts that tap may change", job.Env["TAPSTACK_ALLOWED_ACCOUNTS"], "${{ vars.TAP_ACCOUNT }}")
		for _, step := range job.Steps {
			if seconds := step.With["seconds"]; step.Uses == "./.github/actions/aws" {
				f.same(where+": seconds of the session", seconds, fmt.Sprint((longest+5)*60))
			}
		}
	})
	s.eachStep(func(where string, step Step) {
		if !strings.HasPrefix(step.Uses, "aws-actions/configure-aws-credentials@") {
			return
		}
		if !strings.HasPrefix(where, "action aws: ") {
			f.add("%s: sessions are made by the action aws alone", where)
		}
		for _, input := range []string{"role-to-assume", "role-session-name", "role-duration-seconds", "aws-region", "allowed-account-ids"} {
			if step.With[input] == "" {
				f.add("%s: %s is not given", where, input)
			}
		}
		f.same(where+": inputs", len(step.With), 5)
	})
}

// settings are the variables that a repository must or may set. TAP_NIGHTLY is the repository's own, the others are the
// environment's.
var settings = []string{
	"AWS_REGION", "TAP_ACCOUNT", "TAP_ALERT_EMAIL", "TAP_IMAGES", "TAP_NIGHTLY", "TAP_ROLE", "TAP_STATE_BUCKET", "TAP_STATE_KEY",
}

var variable = regexp.MustCompile(`\bvars\.(\w+)`)

func variables(s *Set, f *faults) {
	used := map[string]bool{}
	for _, text := range s.files {
		for _, name := range first(variable.FindAllStringSubmatch(text, -1)) {
			used[name] = true
		}
	}
	f.same("the variables", sorted(used), settings)
	runbook := s.must(f, "docs/runbook.md")
	for _, name := range settings {
		if !strings.Contains(runbook, "`"+name+"`") {
			f.add("docs/runbook.md does not tell of %s", name)
		}
	}
}

// must is a step that a job must have, by the beginning of its script.
type must struct {
	run string
	// always is true for a step that runs whatever the steps before it came to.
	always bool
}

const afterAll = "always() && steps.session.outcome == 'success'"

// inOrder holds a job to steps in an order; others may stand between.
func inOrder(f *faults, where string, job *Job, wanted ...must) {
	rest := job.Steps
	for _, want := range wanted {
		at := slices.IndexFunc(rest, func(step Step) bool { return strings.HasPrefix(step.Run, want.run) })
		if at < 0 {
			f.add("%s: %q does not come where it must", where, want.run)
			return
		}
		condition := ""
		if want.always {
			condition = afterAll
		}
		f.same(where+": "+rest[at].Name+": its condition", rest[at].If, condition)
		rest = rest[at+1:]
	}
}

// outlasts holds a job to be longer than its steps together, so that the last of them still runs when all others hang.
func outlasts(f *faults, where string, job *Job) {
	setUp, limit := 15, 0
	for _, step := range job.Steps {
		if strings.Contains(step.Run, tap) {
			if step.Timeout == 0 {
				f.add("%s: %s has no time limit", where, step.Name)
			}
			limit += step.Timeout
		}
	}
	if limit+setUp > job.Timeout {
		f.add("%s: its steps may take %d minutes, and with the set-up more than the %d of the job", where, limit, job.Timeout)
	}
}

func (s *Set) job(f *faults, file, name string) *Job {
	if w := s.Workflows[file]; w != nil && w.Jobs[name] != nil {
		return w.Jobs[name]
	}
	f.add("%s/%s: there is no such job", file, name)
	return &Job{}
}

func nightlyOrder(s *Set, f *faults) {
	job := s.job(f, "nightly.yml", "deploy")
	f.same("nightly.yml/deploy: its condition", job.If, "needs.settings.outputs.suffix != ''")
	inOrder(
		f, "nightly.yml/deploy", job,
		must{run: ".build/tap cost --no-progress --for 3h --max-run 10 | .ci/summarize "},
		must{run: ".ci/push-images "},
		must{run: ".build/tap up --target aws --yes --no-progress --ttl 6h --config owner=nightly "},
		must{run: ".build/tap load --target aws --yes --no-progress "},
		must{run: ".build/tap verify --target aws --yes --no-progress --act --report reports/deployed"},
		must{run: ".build/tap up --target aws --yes --no-progress --config "},
		must{run: ".build/tap verify --target aws --yes --no-progress --act --report reports/updated"},
	)
	outlasts(f, "nightly.yml/deploy", job)
}

func alwaysDestroyed(s *Set, f *faults) {
	job := s.job(f, "nightly.yml", "destroy")
	f.same("nightly.yml/destroy: what it calls", job.Uses, "./.github/workflows/clean-up.yml")
	f.same("nightly.yml/destroy: what it waits for", job.Needs, names{"settings", "deploy"})
	f.same("nightly.yml/destroy: its condition", job.If, "always() && needs.settings.outputs.suffix != ''")
	f.same("nightly.yml/destroy: the suffix", job.With["suffix"], "${{ needs.settings.outputs.suffix }}")
	deploy := s.job(f, "nightly.yml", "deploy")
	f.same("nightly.yml/deploy: the suffix", deploy.Env["ENVIRONMENT_SUFFIX"], "${{ needs.settings.outputs.suffix }}")
	byHand := s.job(f, "destroy.yml", "destroy")
	f.same("destroy.yml/destroy: what it calls", byHand.Uses, "./.github/workflows/clean-up.yml")
	f.same("destroy.yml/destroy: the suffix", byHand.With["suffix"], "${{ inputs.suffix }}")
	cleanUp := s.job(f, "clean-up.yml", "clean-up")
	f.same("clean-up.yml/clean-up: its condition", cleanUp.If, "always()")
	f.same("clean-up.yml/clean-up: the suffix", cleanUp.Env["ENVIRONMENT_SUFFIX"], "${{ inputs.suffix }}")
	for _, key := range []string{"AWS_REGION", "TAP_ACCOUNT", "TAP_STATE_BUCKET", "TAP_STATE_KEY", "TAPSTACK_ALLOWED_ACCOUNTS", "TAPSTACK_BACKEND", "TAPSTACK_SECRETS_PROVIDER"} {
		f.same("clean-up.yml/clean-up: "+key, cleanUp.Env[key], deploy.Env[key])
	}
}

func alwaysSwept(s *Set, f *faults) {
	where, job := "clean-up.yml/clean-up", s.job(f, "clean-up.yml", "clean-up")
	sweep := `.build/tap sweep --target aws --owner nightly --suffix "$ENVIRONMENT_SUFFIX" --ignore-expiry --older-than 0s`
	inOrder(
		f, where, job,
		must{run: ".build/tap destroy --target aws --yes --no-progress --if-exists --unlock | .ci/summarize "},
		must{run: sweep + " --yes | .ci/summarize ", always: true},
		must{run: sweep + " | .ci/summarize ", always: true},
	)
	outlasts(f, where, job)
}

func weeklySweep(s *Set, f *faults) {
	where, job := "sweep.yml/sweep", s.job(f, "sweep.yml", "sweep")
	f.same(where+": its condition", job.If, "needs.settings.outputs.wanted == 'true'")
	inOrder(
		f, where, job,
		must{run: ".build/tap sweep --target aws --owner nightly --older-than 24h --yes | .ci/summarize "},
		must{run: ".build/tap sweep --target aws --owner nightly --older-than 24h | .ci/summarize ", always: true},
	)
	outlasts(f, where, job)
}

func told(s *Set, f *faults) {
	for file, condition := range map[string]string{
		"nightly.yml": "always() && (needs.settings.result != 'success' || needs.settings.outputs.suffix != ''\n" +
			"&& (needs.deploy.result != 'success' || needs.destroy.result != 'success'))",
		"sweep.yml": "always() && (needs.settings.result != 'success' || needs.settings.outputs.wanted != '' && needs.sweep.result != 'success')",
	} {
		job := s.job(f, file, "tell")
		f.same(file+"/tell: what it calls", job.Uses, "./.github/workflows/tell.yml")
		f.same(file+"/tell: its condition", strings.Join(strings.Fields(job.If), " "), strings.Join(strings.Fields(condition), " "))
		var others []string
		for _, name := range sorted(s.Workflows[file].Jobs) {
			if name != "tell" {
				others = append(others, name)
			}
		}
		f.same(file+"/tell: what it waits for", slices.Sorted(slices.Values(job.Needs)), others)
	}
	job := s.job(f, "tell.yml", "tell")
	if len(job.Steps) != 1 || !strings.Contains(job.Steps[0].Run, "gh issue comment ") || !strings.Contains(job.Steps[0].Run, "gh issue create ") {
		f.add("tell.yml/tell: it must comment on an issue or open one, and nothing else")
	}
	f.same("tell.yml/tell: its condition", job.If, "always()")
	f.same("tell.yml/tell: the token", job.Env["GH_TOKEN"], "${{ github.token }}")
}

var summary = regexp.MustCompile(`cat \S+ >> "\$GITHUB_STEP_SUMMARY"`)

func reports(s *Set, f *faults) {
	for _, where := range []string{"nightly.yml/deploy", "pull-request.yml/report"} {
		file, name, _ := strings.Cut(where, "/")
		kept, shown := false, false
		for _, step := range s.job(f, file, name).Steps {
			if strings.HasPrefix(step.Uses, "actions/upload-artifact@") {
				kept = step.If == "always()" && step.With["path"] == "reports/"
			}
			if summary.MatchString(step.Run) {
				shown = step.If == "always()"
			}
		}
		if !kept || !shown {
			f.add("%s: the report must be an artifact and the summary, both under always()", where)
		}
	}
	for _, step := range s.job(f, "pull-request.yml", "report").Steps {
		if strings.HasPrefix(step.Run, ".build/tap destroy") {
			f.same("pull-request.yml/report: the condition of destroy", step.If, "always()")
		}
	}
}

var (
	makes    = regexp.MustCompile(`(?m)^\s*(?:run: )?make ([a-z-]+)`)
	scripts  = regexp.MustCompile(`(?m)(?:^|\s)((?:\.ci|fixtures)/[\w/-]+)`)
	targets  = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	testNeed = regexp.MustCompile(`(?m)^test: ([a-z -]+)`)
)

// likeCI compares with .ci/run: its scripts, and its make targets with test taken apart into what it stands for.
func likeCI(s *Set, f *faults) {
	makefile, run := s.must(f, "Makefile"), s.must(f, ".ci/run")
	wanted := map[string]bool{}
	for _, target := range first(makes.FindAllStringSubmatch(run, -1)) {
		if need := testNeed.FindStringSubmatch(makefile); target == "test" && need != nil {
			for _, part := range strings.Fields(need[1]) {
				wanted["make "+part] = true
			}
			continue
		}
		wanted["make "+target] = true
	}
	for _, script := range first(scripts.FindAllStringSubmatch(run, -1)) {
		wanted[script] = true
	}
	if len(wanted) == 0 {
		f.add(".ci/run runs nothing")
	}
	runs := map[string]bool{}
	if w := s.Workflows["pull-request.yml"]; w != nil {
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				if step.If == "" && job.If == "" {
					runs[strings.TrimPrefix(step.Run, "sudo ")] = true
				}
			}
		}
	}
	for _, command := range sorted(wanted) {
		if !runs[command] {
			f.add("pull-request.yml: .ci/run does %q, and no job does", command)
		}
	}
}

// compiles finds a call of the compiler.
var compiles = regexp.MustCompile(`(?m)^\s*(?:\w+=\S* )*(?:sudo )?go (?:build|generate|install|run|test|tool|vet)\b`)

func throughMake(s *Set, f *faults) {
	for _, script := range append(s.Scripts(), Script{".ci/run", s.must(f, ".ci/run")}) {
		if call := compiles.FindString(script.Text); call != "" {
			f.add("%s: %q", script.Where, strings.TrimSpace(call))
		}
	}
}

func called(s *Set, f *faults) {
	known := first(targets.FindAllStringSubmatch(s.must(f, "Makefile"), -1))
	for _, script := range s.Scripts() {
		for _, target := range first(makes.FindAllStringSubmatch(script.Text, -1)) {
			if !slices.Contains(known, target) {
				f.add("%s: the Makefile has no target %s", script.Where, target)
			}
		}
		for _, name := range first(scripts.FindAllStringSubmatch(script.Text, -1)) {
			if info, err := fs.Stat(s.tree, name); err != nil || info.Mode()&0o111 == 0 {
				f.add("%s: %s is no executable file", script.Where, name)
			}
		}
	}
	local := func(where, uses string) {
		uses, is := strings.CutPrefix(uses, "./")
		if !is {
			return
		}
		if !strings.HasSuffix(uses, ".yml") {
			uses = path.Join(uses, "action.yml")
		}
		if s.files[uses] == "" {
			f.add("%s: there is no %s", where, uses)
		}
	}
	s.eachJob(func(where string, job *Job) { local(where, job.Uses) })
	s.eachStep(func(where string, step Step) { local(where, step.Uses) })
}

func (s *Set) must(f *faults, file string) string {
	text, err := s.text(file)
	if err != nil {
		f.add("%v", err)
	}
	return text
}

// first takes the first group of every match.
func first(matches [][]string) []string {
	var groups []string
	for _, match := range matches {
		groups = append(groups, match[1])
	}
	return groups
}
