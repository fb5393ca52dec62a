package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"tapstack/lib/lifecycle"
	"tapstack/lib/process/processtest"
)

// toy is a provider of one type, whose cloud is a map in memory.
type toy struct {
	things sync.Map // thingArgs by name
	stop   chan bool
	done   <-chan error
	// creating is told the name of each thing whose creation begins.
	creating chan string
}

type thingArgs struct {
	Title  string `pulumi:"title"`
	Fault  string `pulumi:"fault,optional"`
	Millis int    `pulumi:"millis,optional"`
}

type thing struct{ cloud *toy }

func newToy() *toy { return &toy{creating: make(chan string, 64)} }

func (t *toy) Attach(context.Context) (map[string]int, error) {
	server, err := p.RawServer("toy", "1.0.0", infer.Provider(infer.Options{
		Resources: []infer.InferredResource{infer.Resource(&thing{cloud: t})},
	}))(nil)
	if err != nil {
		return nil, err
	}
	t.stop = make(chan bool)
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{Cancel: t.stop, Init: func(srv *grpc.Server) error {
		rpc.RegisterResourceProviderServer(srv, server)
		return nil
	}})
	if err != nil {
		return nil, err
	}
	t.done = handle.Done
	return map[string]int{"toy": handle.Port}, nil
}

func (t *toy) Close() error {
	close(t.stop)
	return <-t.done
}

func (t *toy) count() (n int) {
	t.things.Range(func(any, any) bool { n++; return true })
	return n
}

func (th *thing) Annotate(a infer.Annotator) { a.SetToken("index", "Thing") }

func (th *thing) Create(_ context.Context, req infer.CreateRequest[thingArgs]) (infer.CreateResponse[thingArgs], error) {
	if req.DryRun {
		return infer.CreateResponse[thingArgs]{Output: req.Inputs}, nil
	}
	th.cloud.creating <- req.Name
	// A real cloud call does not stop half-way either.
	<-time.After(time.Duration(req.Inputs.Millis) * time.Millisecond)
	if req.Inputs.Fault != "" {
		return infer.CreateResponse[thingArgs]{}, errors.New(req.Inputs.Fault)
	}
	th.cloud.things.Store(req.Name, req.Inputs)
	return infer.CreateResponse[thingArgs]{ID: req.Name, Output: req.Inputs}, nil
}

func (th *thing) Read(_ context.Context, req infer.ReadRequest[thingArgs, thingArgs]) (infer.ReadResponse[thingArgs, thingArgs], error) {
	stored, exists := th.cloud.things.Load(req.ID)
	if !exists {
		return infer.ReadResponse[thingArgs, thingArgs]{}, nil
	}
	found := stored.(thingArgs)
	return infer.ReadResponse[thingArgs, thingArgs]{ID: req.ID, Inputs: found, State: found}, nil
}

func (th *thing) Update(_ context.Context, req infer.UpdateRequest[thingArgs, thingArgs]) (infer.UpdateResponse[thingArgs], error) {
	if !req.DryRun {
		th.cloud.things.Store(req.ID, req.Inputs)
	}
	return infer.UpdateResponse[thingArgs]{Output: req.Inputs}, nil
}

func (th *thing) Delete(ctx context.Context, req infer.DeleteRequest[thingArgs]) (infer.DeleteResponse, error) {
	if ctx.Err() != nil {
		return infer.DeleteResponse{}, ctx.Err()
	}
	th.cloud.things.Delete(req.ID)
	return infer.DeleteResponse{}, nil
}

// things declares one thing after another, each depending on the one before.
func things(all ...thingArgs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		var options []pulumi.ResourceOption
		for index, args := range all {
			declared := &struct{ pulumi.CustomResourceState }{}
			err := ctx.RegisterResource("toy:index:Thing", fmt.Sprintf("thing-%d", index), pulumi.Map{
				"title":  pulumi.String(args.Title),
				"fault":  pulumi.String(args.Fault),
				"millis": pulumi.Int(args.Millis),
			}, declared, options...)
			if err != nil {
				return err
			}
			options = []pulumi.ResourceOption{pulumi.DependsOn([]pulumi.Resource{declared})}
		}
		ctx.Export("count", pulumi.Int(len(all)))
		ctx.Export("hidden", pulumi.ToSecret(pulumi.String("a-secret-output")))
		return nil
	}
}

// recorder remembers what it hears.
type recorder struct {
	done, failed []string
	diagnostics  []lifecycle.Diagnostic
}

func (r *recorder) Started(lifecycle.Step) {}

func (r *recorder) Done(step lifecycle.Step) { r.done = append(r.done, step.Op+" "+step.Name) }

func (r *recorder) Failed(step lifecycle.Step) { r.failed = append(r.failed, step.Op+" "+step.Name) }

func (r *recorder) Diagnostic(d lifecycle.Diagnostic) { r.diagnostics = append(r.diagnostics, d) }

// open opens the stack "dev" of a program over a toy cloud in dir.
func open(t *testing.T, dir string, cloud *toy, program pulumi.RunFunc, observer lifecycle.Observer) *lifecycle.Stack {
	t.Helper()
	return openWith(t, lifecycle.Options{Program: program, Dir: dir, Provider: cloud, Observer: observer})
}

func openWith(t *testing.T, options lifecycle.Options, change ...func(*lifecycle.Options)) *lifecycle.Stack {
	t.Helper()
	processtest.SkipIfShort(t)
	options.Project, options.Stack, options.Config = "toy", "dev", map[string]string{"colour": "green"}
	for _, change := range change {
		change(&options)
	}
	engine, err := lifecycle.FindEngine(t.Context(), func(message string) { t.Log(message) })
	require.NoError(t, err)
	stack, err := lifecycle.Open(t.Context(), engine, options)
	require.NoError(t, err)
	t.Cleanup(stack.Close)
	return stack
}

// run runs an operation that must succeed.
func run(t *testing.T, operation func(context.Context) (lifecycle.Result, error)) lifecycle.Result {
	t.Helper()
	result, err := operation(t.Context())
	require.NoError(t, err)
	return result
}

func TestMain(m *testing.M) {
	for _, name := range []string{"PULUMI_CONFIG_PASSPHRASE", "PULUMI_HOME", "PULUMI_BACKEND_URL"} {
		_ = os.Unsetenv(name)
	}
	os.Exit(m.Run())
}
