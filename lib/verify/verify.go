// Package verify is the brief once more, as named checks that read the live AWS API.
//
// A check never looks at Pulumi state or at the program: what counts is what the cloud answers. Checks find the stack
// through its outputs and the relations between resources, as an auditor would. The one thing that the package never puts
// into its evidence is the value of a secret.
//
// The package reads: it asks the API, and sends harmless GET requests to the load balancer. Only the checks that act
// (Check.Acts) do more, each only with Options.Act, and each undoes what it did before it ends, whatever happens:
//
//   - queue.delivers sends a message to the main queue and deletes it, or lets a job processor do so;
//   - queue.refuses-plain-text and bucket.refuses-plain-text send one signed read each without TLS;
//   - alerts.alarm-publishes sets one alarm off, which notifies the operations team, and sets it back;
//   - application.rollout-serves replaces the tasks of both services by new ones of the same revision;
//   - application.scale-in-serves adds a task to each service and, once all of them are asked, takes one away again;
//   - database.failover, database.failover-endpoint and database.failover-serves share one failover of the database and one
//     back again.
package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tapstack/lib/cloud"
	"tapstack/lib/verify/grants"
)

// Status is the outcome of one check.
type Status string

// The outcomes. NotObservable is never a pass: the target cannot show what the check needs to see. Nor is SwitchedOff: the
// configuration leaves out what the check holds the cloud to, and the cloud is as configured.
const (
	Passed        Status = "passed"
	Failed        Status = "failed"
	NotObservable Status = "notObservable"
	SwitchedOff   Status = "switchedOff"
)

// Check holds the cloud to one sentence of the brief.
type Check struct {
	ID    string       // area and subject, such as "queue.dlq-retention"
	Says  string       // the sentence of the brief, or of what goes beyond it
	PCI   []string     // PCI DSS v4.0.1 requirement numbers, where one applies
	Needs []Capability // what the target must be able to show
	Acts  bool         // it does more than look: it runs with Options.Act only, and undoes what it did
	Run   func(ctx context.Context, env *Env) Evidence
}

// Observation is one comparison that a check made.
type Observation struct {
	ARN      string `json:"arn,omitempty"`
	What     string `json:"what"`
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
	OK       bool   `json:"ok"`
}

// Evidence is all that a check saw. It passes only with at least one observation, every one of them fine, and no error.
// SwitchedOff says what of it the configuration leaves out: then it does not pass either.
type Evidence struct {
	Seen        []Observation
	SwitchedOff []string
	Err         error
}

// Result is one check of one run. Reason is empty for a pass; else it says in one line why the check failed, could
// not be observed or is switched off. ARN is the first resource that failed, or the first one looked at.
type Result struct {
	ID           string        `json:"id"`
	Says         string        `json:"says"`
	PCI          []string      `json:"pci,omitempty"`
	Status       Status        `json:"status"`
	Expected     string        `json:"expected"`
	Actual       string        `json:"actual"`
	ARN          string        `json:"arn,omitempty"`
	Reason       string        `json:"reason,omitempty"`
	At           time.Time     `json:"at"`
	DurationMS   float64       `json:"durationMs"`
	Observations []Observation `json:"observations,omitempty"`
}

// Counts tells how many checks had which outcome.
type Counts struct {
	Total         int `json:"total"`
	Passed        int `json:"passed"`
	Failed        int `json:"failed"`
	NotObservable int `json:"notObservable"`
	SwitchedOff   int `json:"switchedOff"`
}

func (c Counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d not observable here, %d switched off by configuration", c.Passed, c.Failed, c.NotObservable, c.SwitchedOff)
}

// Target says whose cloud answered. Account and Partition are empty when the target did not say.
type Target struct {
	cloud.Identity
	// Where names what answered, as Options.Where did: a cloud may be made of several emulators.
	Where string `json:"where,omitempty"`
}

// Report is one run of the specification.
type Report struct {
	Target     Target    `json:"target"`
	Suffix     string    `json:"suffix"`
	Started    time.Time `json:"started"`
	DurationMS float64   `json:"durationMs"`
	Counts     Counts    `json:"counts"`
	// APICalls tells how many calls the run made, each with its retries counted once.
	APICalls int `json:"apiCalls"`
	// Problem is the one reason, in one line, why checks failed together: the wrong cloud, an incomplete stack, credentials
	// that may not read. It is empty when no check failed, or when each failed for its own reason.
	Problem string   `json:"problem,omitempty"`
	Results []Result `json:"results"`
}

// OK reports whether at least one check ran and none failed.
func (r Report) OK() bool { return r.Counts.Total > 0 && r.Counts.Failed == 0 }

// Options say what to verify and where.
type Options struct {
	AWS     aws.Config     // credentials, region and endpoint of the target
	Outputs map[string]any // the stack's outputs by name: strings, lists of strings, and the configuration as a map of strings
	Suffix  string         // the environmentSuffix of the stack
	Region  string         // overrides AWS.Region when set
	Where   string         // what the report calls the target, in one line

	// Act lets the checks run that act on the stack, after all others and one at a time. Without it they are left out.
	Act bool
	// Network reaches the load balancer and looks names up; nil is this machine's own network. A tunnel may stand in.
	Network Network
	// Grants asks the database itself what its users may do, by grants.Query; nil where nobody can, who would have to be in the VPC.
	Grants func(ctx context.Context) ([]grants.Grant, error)
	// Patience bounds every wait for the cloud to follow an act, for tests and impatient readers; 0 leaves each wait the
	// bound that the check has for it.
	Patience time.Duration

	// Strict turns "not observable" into a failure, for targets on which nothing may be unobservable.
	Strict bool
	// Only restricts the run to these check IDs; empty runs all. One that acts needs Act as well.
	Only []string
	// Concurrency bounds the checks that run at a time; 0 means 8.
	Concurrency int
	// Done, when set, is called with each result as it comes, one call at a time.
	Done func(Result)
}

const defaultConcurrency = 8

func (o Options) validate() error {
	var faults []error
	if o.Suffix == "" {
		faults = append(faults, errors.New("the suffix of the stack to verify is empty"))
	}
	if o.Region == "" && o.AWS.Region == "" {
		faults = append(faults, errors.New("no region is set"))
	}
	if o.Concurrency < 0 {
		faults = append(faults, errors.New("the concurrency is negative"))
	}
	if o.Patience < 0 {
		faults = append(faults, errors.New("the patience is negative"))
	}
	return errors.Join(faults...)
}

// Checks lists the whole specification, in the order of the brief.
func Checks() []Check {
	var all []Check
	for _, area := range [][]Check{
		targetChecks(),
		networkChecks(),
		reachabilityChecks(),
		databaseChecks(),
		failoverChecks(),
		grantChecks(),
		secretChecks(),
		applicationChecks(),
		scalingChecks(),
		loadBalancingChecks(),
		clientChecks(),
		continuityChecks(),
		firewallChecks(),
		queueChecks(),
		deliveryChecks(),
		loggingChecks(),
		alertingChecks(),
		alarmChecks(),
		configurationChecks(),
		permissionChecks(),
		taggingChecks(),
		encryptionChecks(),
		plainTextChecks(),
		destroyabilityChecks(),
	} {
		all = append(all, area...)
	}
	return all
}
