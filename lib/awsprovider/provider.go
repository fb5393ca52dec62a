// Package awsprovider is the local stand-in for the pulumi-aws v6 and pulumi-random v4 plugins: it serves the resource
// types and functions that the stack uses, makes the same AWS calls as the official provider, and refuses what it does
// not implement. It runs inside the calling process and the Pulumi engine attaches to it over loopback gRPC, so nothing
// is downloaded.
package awsprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	mcontext "github.com/pulumi/pulumi-go-provider/middleware/context"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"

	"tapstack/lib/awsprovider/acm"
	"tapstack/lib/awsprovider/appautoscaling"
	"tapstack/lib/awsprovider/cloudwatch"
	"tapstack/lib/awsprovider/ec2"
	"tapstack/lib/awsprovider/ecs"
	"tapstack/lib/awsprovider/iam"
	"tapstack/lib/awsprovider/index"
	"tapstack/lib/awsprovider/kms"
	"tapstack/lib/awsprovider/lb"
	"tapstack/lib/awsprovider/random"
	"tapstack/lib/awsprovider/rds"
	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/awsprovider/route53"
	"tapstack/lib/awsprovider/s3"
	"tapstack/lib/awsprovider/secretsmanager"
	"tapstack/lib/awsprovider/sns"
	"tapstack/lib/awsprovider/sqs"
	"tapstack/lib/awsprovider/ssm"
	"tapstack/lib/awsprovider/wafv2"
)

// Versions of the plugins that the local provider stands in for; they are those of the SDKs in go.mod.
const (
	awsVersion    = "6.83.2"
	randomVersion = "4.19.2"
)

// Plugins are the official plugins that the local provider stands in for, by name, with their versions.
func Plugins() map[string]string {
	return map[string]string{"aws": "v" + awsVersion, "random": "v" + randomVersion}
}

// Resources lists every AWS type that the local provider implements.
func Resources() []resource.Resource {
	return slices.Concat(
		acm.Resources(),
		appautoscaling.Resources(),
		cloudwatch.Resources(),
		ec2.Resources(),
		ecs.Resources(),
		iam.Resources(),
		kms.Resources(),
		lb.Resources(),
		rds.Resources(),
		route53.Resources(),
		s3.Resources(),
		secretsmanager.Resources(),
		sns.Resources(),
		sqs.Resources(),
		ssm.Resources(),
		wafv2.Resources(),
	)
}

// Functions lists every AWS function that the local provider implements.
func Functions() []infer.InferredFunction { return slices.Concat(index.Functions(), rds.Functions()) }

// attempts are those of a call whose answer may be lost or an error that passes. The official provider makes 25; an emulator is near.
const attempts = 4

// New returns the AWS provider, which calls the API that base describes.
func New(base aws.Config) (p.Provider, error) {
	base = base.Copy()
	base.RetryMaxAttempts = attempts
	return Assemble(base, Resources(), Functions())
}

// Assemble returns an AWS provider of the given types and functions only.
func Assemble(base aws.Config, types []resource.Resource, functions []infer.InferredFunction) (p.Provider, error) {
	c := &configuration{base: base}
	provider, err := assemble(types, functions)
	if err != nil {
		return p.Provider{}, err
	}
	provider.CheckConfig, provider.DiffConfig, provider.Configure = c.check, c.diff, c.configure
	heedTimeouts(&provider)
	return mcontext.Wrap(withUnknownInputs(provider, types), func(ctx context.Context) context.Context {
		return resource.WithCloud(ctx, c.cloud())
	}), nil
}

// heedTimeouts hands customTimeouts on to the types, which infer does not.
func heedTimeouts(provider *p.Provider) {
	create, update, remove := provider.Create, provider.Update, provider.Delete
	provider.Create = func(ctx context.Context, request p.CreateRequest) (p.CreateResponse, error) {
		return create(resource.WithTimeout(ctx, request.Timeout), request)
	}
	provider.Update = func(ctx context.Context, request p.UpdateRequest) (p.UpdateResponse, error) {
		return update(resource.WithTimeout(ctx, request.Timeout), request)
	}
	provider.Delete = func(ctx context.Context, request p.DeleteRequest) error {
		return remove(resource.WithTimeout(ctx, request.Timeout), request)
	}
}

// NewRandom returns the random provider. It reaches nothing.
func NewRandom() (p.Provider, error) { return assemble(random.Resources(), nil) }

// assemble makes a provider of resource types and functions, or tells everything that is wrong with them.
func assemble(types []resource.Resource, functions []infer.InferredFunction) (p.Provider, error) {
	var faults []error
	seen := map[string]bool{}
	opts := infer.Options{Functions: functions}
	for _, r := range types {
		if seen[r.Token] {
			faults = append(faults, fmt.Errorf("%s is registered twice", r.Token))
		}
		seen[r.Token] = true
		faults = append(faults, r.Err)
		opts.Resources = append(opts.Resources, r.Infer)
	}
	if err := errors.Join(faults...); err != nil {
		return p.Provider{}, fmt.Errorf("local provider: %w", err)
	}
	return infer.Provider(opts), nil
}

// Plugin attaches the local providers to an engine while a stack is open. It implements lifecycle's Provider.
type Plugin struct {
	cfg    aws.Config
	wrap   func(p.Provider) p.Provider
	cancel chan bool
	done   []<-chan error
}

// NewPlugin prepares the local providers for the AWS API that cfg reaches. Nothing is served before Attach.
func NewPlugin(cfg aws.Config) *Plugin {
	return &Plugin{cfg: cfg, wrap: func(provider p.Provider) p.Provider { return provider }}
}

// Watch lets a caller see every request to the AWS provider: wrap is given the provider and returns the one to serve.
func (l *Plugin) Watch(wrap func(p.Provider) p.Provider) *Plugin {
	l.wrap = wrap
	return l
}

// Attach serves the providers and tells their ports on 127.0.0.1, by plugin name.
func (l *Plugin) Attach(context.Context) (map[string]int, error) {
	awsProvider, err := New(l.cfg)
	if err != nil {
		return nil, err
	}
	randomProvider, err := NewRandom()
	if err != nil {
		return nil, err
	}
	ports := map[string]int{}
	l.cancel = make(chan bool)
	for _, it := range []struct {
		name, version string
		provider      p.Provider
	}{{"aws", awsVersion, l.wrap(awsProvider)}, {"random", randomVersion, randomProvider}} {
		if ports[it.name], err = l.serve(it.name, it.version, it.provider); err != nil {
			return nil, errors.Join(fmt.Errorf("serving the local %s provider: %w", it.name, err), l.Close())
		}
	}
	return ports, nil
}

// serve offers one provider on a free loopback port until the plugin is closed.
func (l *Plugin) serve(name, version string, provider p.Provider) (port int, err error) {
	server, err := p.RawServer(name, version, provider)(nil)
	if err != nil {
		return 0, err
	}
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: l.cancel,
		Init: func(srv *grpc.Server) error {
			rpc.RegisterResourceProviderServer(srv, server)
			return nil
		},
		Options: rpcutil.OpenTracingServerInterceptorOptions(nil),
	})
	if err != nil {
		return 0, err
	}
	l.done = append(l.done, handle.Done)
	return handle.Port, nil
}

// closeLimit bounds the wait for calls that an engine has left which was killed.
const closeLimit = 2 * time.Second

// Close stops serving and waits until that is so, but not for a cloud that does not answer.
func (l *Plugin) Close() error {
	if l.cancel == nil {
		return nil
	}
	close(l.cancel)
	l.cancel = nil
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	var faults []error
	for _, done := range l.done {
		select {
		case err := <-done:
			faults = append(faults, err)
		case <-ctx.Done():
		}
	}
	l.done = nil
	return errors.Join(faults...)
}
