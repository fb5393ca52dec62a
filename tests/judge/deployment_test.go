package judge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/awsprovider"
	"tapstack/lib/cloud"
	"tapstack/lib/declared"
	"tapstack/lib/lifecycle"
	"tapstack/lib/session"
	"tapstack/lib/target"
)

// declaration is a resource as the program declares it, with what AWS made of it.
type declaration struct {
	Type, Name string
	Inputs     map[string]any    // as the program declares them; secrets are covered
	Planned    map[string]any    // with the provider's defaults
	Made       map[string]string // texts that AWS added, such as an ARN
	ID         string
}

// deployment is what the judges look at.
type deployment struct {
	cloud     *target.Target
	stacks    []*session.Session
	requests  requests      // to deploy, to check and to remove it
	made      []declaration // of both configurations
	resources []declaration // of the default configuration, and what only the largest one has besides
}

// suffix ends the names of the default stack.
const suffix = "judged"

// deploy deploys the stack to a local cloud in its default configuration, and in the largest; both stay until the test ends.
func deploy(ctx context.Context, t *testing.T) *deployment {
	t.Helper()
	opened, err := target.Open(ctx, target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	d := &deployment{cloud: opened}
	opened.Config = d.requests.watch(opened.Config)

	usual := map[string]string{
		lib.ConfigEnvironmentSuffix: suffix,
		lib.ConfigPaymentAPIImage:   declared.Account + ".dkr.ecr.us-east-1.amazonaws.com/payment-api:1.0.0",
		lib.ConfigJobProcessorImage: declared.Account + ".dkr.ecr.us-east-1.amazonaws.com/job-processor:1.0.0",
		lib.ConfigAlertEmail:        "ops@example.com",
	}
	d.resources = d.stack(ctx, t, usual)
	largest, err := declared.Largest("large")
	require.NoError(t, err)
	values := maps.Clone(usual)
	maps.Copy(values, largest.Values())
	for _, image := range []string{lib.ConfigPaymentAPIImage, lib.ConfigJobProcessorImage} {
		values[image] = usual[image]
	}
	values["hostedZoneId"] = d.hostedZone(ctx, t, values["domainName"])
	has := map[string]bool{}
	for _, r := range d.resources {
		has[r.Name] = true
	}
	more := d.stack(ctx, t, values)
	d.made = slices.Concat(d.resources, more)
	d.resources = append(d.resources, slices.DeleteFunc(more, func(r declaration) bool { return has[r.Name] })...)
	return d
}

// stack deploys one configuration and tells its resources.
func (d *deployment) stack(ctx context.Context, t *testing.T, config map[string]string) []declaration {
	t.Helper()
	recorded := &recording{said: map[string]property.Map{}}
	options := session.Options{
		Suffix: config[lib.ConfigEnvironmentSuffix], Location: lifecycle.InFolder(lib.ProjectName, t.TempDir()), Config: config,
		Cloud: d.cloud, Provider: awsprovider.NewPlugin(d.cloud.Config).Watch(recorded.watch),
	}
	s, ctx := session.New(ctx, options)
	require.NoError(t, s.Open(ctx))
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	start := time.Now()
	planned, err := s.Preview(ctx)
	require.NoError(t, err)
	_, err = s.Up(ctx, planned)
	require.NoError(t, err)
	_, err = s.Verify(ctx, false)
	require.NoError(t, err)
	_, err = s.Refresh(ctx)
	require.NoError(t, err)
	d.stacks = append(d.stacks, s)
	t.Logf("deployed and checked %d resources in %s", len(recorded.made), time.Since(start).Round(100*time.Millisecond))
	return recorded.made
}

// remove destroys the stacks, and looks for what is left.
func (d *deployment) remove(ctx context.Context) error {
	for _, s := range d.stacks {
		if _, err := s.Destroy(ctx); err != nil {
			return err
		}
		left, err := s.Prove(ctx)
		if err != nil || len(left) > 0 {
			return fmt.Errorf("destroy left %v: %w", left, err)
		}
	}
	return nil
}

func (d *deployment) hostedZone(ctx context.Context, t *testing.T, domain string) string {
	t.Helper()
	made, err := cloud.NewClients(d.cloud.Config).Route53.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{
		Name: &domain, CallerReference: aws.String("judge"),
	})
	require.NoError(t, err)
	return strings.TrimPrefix(*made.HostedZone.Id, "/hostedzone/")
}

// recording keeps what is created, in the order in which it is done.
type recording struct {
	mutex sync.Mutex
	said  map[string]property.Map // inputs, by URN
	made  []declaration
}

func (r *recording) watch(provider p.Provider) p.Provider {
	check, create := provider.Check, provider.Create
	provider.Check = func(ctx context.Context, request p.CheckRequest) (p.CheckResponse, error) {
		r.mutex.Lock()
		r.said[string(request.Urn)] = request.Inputs
		r.mutex.Unlock()
		return check(ctx, request)
	}
	provider.Create = func(ctx context.Context, request p.CreateRequest) (p.CreateResponse, error) {
		response, err := create(ctx, request)
		if err == nil && !request.DryRun {
			r.mutex.Lock()
			defer r.mutex.Unlock()
			one := declaration{
				Type: string(request.Urn.Type()), Name: request.Urn.Name(), ID: response.ID, Made: map[string]string{},
				Inputs: fields(r.said[string(request.Urn)]), Planned: fields(request.Properties),
			}
			for name, value := range fields(response.Properties) {
				if text, isText := value.(string); isText && one.Planned[name] == nil {
					one.Made[name] = text
				}
			}
			r.made = append(r.made, one)
		}
		return response, err
	}
	return provider
}

// fields are the properties that are set, but for Pulumi's own.
func fields(properties property.Map) map[string]any {
	set, _ := plain(property.New(properties)).(map[string]any)
	maps.DeleteFunc(set, func(name string, value any) bool { return value == nil || strings.HasPrefix(name, "__") })
	return set
}

// covered stands for a secret.
const covered = "covered-covered-covered"

// plain is a value without what is Pulumi's.
func plain(value property.Value) any {
	switch {
	case value.Secret():
		return covered
	case value.IsMap():
		fields := map[string]any{}
		for key, field := range value.AsMap().All {
			fields[key] = plain(field)
		}
		return fields
	case value.IsArray():
		items := []any{}
		for _, item := range value.AsArray().All {
			items = append(items, plain(item))
		}
		return items
	case value.IsString():
		return value.AsString()
	case value.IsNumber():
		return value.AsNumber()
	case value.IsBool():
		return value.AsBool()
	case value.IsNull():
		return nil
	}
	panic(fmt.Sprintf("a value that is no plain one: %v", value))
}
