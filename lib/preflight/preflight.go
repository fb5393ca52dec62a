// Package preflight looks, before the first resource, at everything in an account that would stop a deployment half-way:
// whose account it is, quotas, zones, the database's version and instance class, the certificate, the images, names that
// are still taken. It tells all that is wrong at once. It only reads, and it does not simulate permissions.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
)

// Status is what a probe came to.
type Status string

// A Problem would stop the deployment. A Warning would not, but may hurt later. Unknown is what could not be looked at:
// its detail says why.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Problem Status = "problem"
	Unknown Status = "unknown"
)

// Finding is what was found out about one thing.
type Finding struct {
	What   string `json:"what"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	// Advice says what to do; it is empty where nothing is to be done.
	Advice string `json:"advice,omitempty"`
}

// Report holds the findings, in the same order for every run.
type Report struct {
	// Account is empty when the credentials were not accepted.
	Account  string    `json:"account,omitempty"`
	Region   string    `json:"region"`
	Findings []Finding `json:"findings"`
}

// With lists the findings of one status.
func (r Report) With(status Status) []Finding {
	var found []Finding
	for _, f := range r.Findings {
		if f.Status == status {
			found = append(found, f)
		}
	}
	return found
}

// String counts the findings: 12 ok, 1 warning, 0 problems, 2 unknown.
func (r Report) String() string {
	return fmt.Sprintf("%d ok, %s, %s, %d unknown", len(r.With(OK)), plural(len(r.With(Warning)), "warning"),
		plural(len(r.With(Problem)), "problem"), len(r.With(Unknown)))
}

// Err tells every problem, each with its advice; nil when there is none.
func (r Report) Err() error {
	var faults []error
	for _, f := range r.With(Problem) {
		text := f.What + ": " + f.Detail
		if f.Advice != "" {
			text += "\n  " + f.Advice
		}
		faults = append(faults, errors.New(text))
	}
	return errors.Join(faults...)
}

// Blocked tells that a deployment is not begun, and every problem that is why; nil when there is none.
func (r Report) Blocked() error {
	problems := r.Err()
	if problems == nil {
		return nil
	}
	return fmt.Errorf("%s in the way, nothing was made:\n%w", plural(len(r.With(Problem)), "problem"), problems)
}

// Options say what is to be deployed, and where.
type Options struct {
	// AWS reaches the account; its Region is where the stack goes.
	AWS aws.Config
	// Config is the stack's configuration: its suffix, its sizes, and the accounts that it may be deployed to.
	Config lib.Config
	// Deployed says that the stack exists, whole or in part: what it has is not needed again, and its names are its own.
	Deployed bool
	// Emulated says that no real account answers: it has no list of allowed accounts and pulls no images.
	Emulated bool
}

// deadlines of one probe and of all.
const (
	probeDeadline = 60 * time.Second
	totalDeadline = 90 * time.Second
)

// probe looks at one thing, or at a few that are asked for together.
type probe struct {
	name string
	// open probes ask nothing of the account, so that they run without credentials too.
	open bool
	look func(context.Context, *inspection) []Finding
}

// probes is all that is looked at, in the order of the report.
func probes() []probe {
	return []probe{
		{name: "region", look: lookAtRegion},
		{name: "availability zones", look: lookAtZones},
		{name: "quotas", look: lookAtQuotas},
		{name: "database", look: lookAtDatabase},
		{name: "certificate", look: lookAtCertificate},
		{name: "image of payment-api", open: true, look: imageProbe(func(c lib.Config) string { return c.PaymentAPIImage })},
		{name: "image of job-processor", open: true, look: imageProbe(func(c lib.Config) string { return c.JobProcessorImage })},
		{name: "image of payment-migrate", open: true, look: imageProbe(func(c lib.Config) string { return c.PaymentMigrateImage })},
		{name: "names", look: lookAtNames},
		{name: "deleted secrets", look: lookAtSecrets},
		{name: "service-linked roles", look: lookAtServiceRoles},
		{name: "GuardDuty", look: lookAtGuardDuty},
	}
}

// Run looks at everything, at the same time, and tells all of it. It ends within two minutes.
func Run(ctx context.Context, options Options) Report {
	return newInspection(options).run(ctx)
}

func (in *inspection) run(ctx context.Context) Report {
	ctx, cancel := context.WithTimeout(ctx, totalDeadline)
	defer cancel()
	report := Report{Region: in.region}
	known := in.lookAtAccount(ctx)
	report.Account, report.Findings = in.account, known
	all := probes()
	results := make([][]Finding, len(all))
	var wait sync.WaitGroup
	for i, p := range all {
		if in.account == "" && !p.open {
			results[i] = []Finding{unknown("not looked at, since the credentials are not accepted")}
			continue
		}
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probeDeadline)
			defer cancel()
			results[i] = p.look(ctx, in)
		})
	}
	wait.Wait()
	for i, p := range all {
		for _, f := range results[i] {
			if f.What == "" {
				f.What = p.name
			}
			report.Findings = append(report.Findings, f)
		}
	}
	return report
}

// inspection is one run: whom it asks, and the answers that several probes share.
type inspection struct {
	Options
	region  string
	account string
	api     *cloud.Reader
	// registry carries requests to image registries.
	registry http.RoundTripper
	now      time.Time
	// existing is what is there under the stack's names and in its VPC.
	existing func(context.Context) ([]inventory.Resource, error)
}

func newInspection(options Options) *inspection {
	cfg := options.AWS
	if options.Emulated {
		// What an emulator does not know it does not know the second time either.
		cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	}
	in := &inspection{
		Options: options, region: cfg.Region, registry: httpsOnly{http.DefaultTransport}, now: time.Now(),
		api: cloud.NewReader(cfg),
	}
	in.existing = func(ctx context.Context) ([]inventory.Resource, error) {
		return cloud.Once(ctx, in.api, "what has the stack's names", func(ctx context.Context) ([]inventory.Resource, error) {
			return inventory.Leaks(ctx, options.AWS, options.Config.EnvironmentSuffix)
		})
	}
	return in
}

// ecrClient asks the registry of another region than the stack's, where an image is there.
func (in *inspection) ecrClient(region string) *ecr.Client {
	cfg := in.AWS.Copy()
	cfg.Region = region
	return cloud.NewClients(cfg).ECR
}

// A finding of these is about what its probe is named after, unless about says otherwise.
func fine(format string, arguments ...any) Finding {
	return Finding{Status: OK, Detail: fmt.Sprintf(format, arguments...)}
}

func warning(advice, format string, arguments ...any) Finding {
	return Finding{Status: Warning, Detail: fmt.Sprintf(format, arguments...), Advice: advice}
}

func problem(advice, format string, arguments ...any) Finding {
	return Finding{Status: Problem, Detail: fmt.Sprintf(format, arguments...), Advice: advice}
}

func unknown(format string, arguments ...any) Finding {
	return Finding{Status: Unknown, Detail: fmt.Sprintf(format, arguments...)}
}

// unread is the finding of a question that was not answered.
func unread(err error) Finding { return unknown("could not be read: %s", reason(err)) }

func (f Finding) about(what string) Finding {
	f.What = what
	return f
}

// longestReason bounds what an API is quoted with, in bytes.
const longestReason = 300

// reason tells an error in one line: the call and what AWS, or the network, says.
func reason(err error) string {
	text := err.Error()
	var api smithy.APIError
	var answer *awshttp.ResponseError
	var network net.Error
	switch {
	case errors.As(err, &api) && api.ErrorCode() != "":
		text = api.ErrorCode() + ": " + api.ErrorMessage()
	case errors.Is(err, context.DeadlineExceeded):
		text = "no answer in time"
	case errors.As(err, &answer):
		text = fmt.Sprintf("HTTP status %d", answer.HTTPStatusCode())
	case errors.As(err, &network):
		text = network.Error()
	}
	var call *smithy.OperationError
	if errors.As(err, &call) {
		text = call.Service() + " " + call.Operation() + ": " + text
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longestReason {
		text = strings.ToValidUTF8(text[:longestReason], "") + "…"
	}
	return text
}

// plural counts things: "1 zone", "2 zones".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
