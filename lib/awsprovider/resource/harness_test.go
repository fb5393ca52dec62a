package resource_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/blang/semver"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/integration"
	mcontext "github.com/pulumi/pulumi-go-provider/middleware/context"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
)

const (
	boxToken = "aws:shelf/box:Box"
	boxURN   = presource.URN("urn:pulumi:test::tapstack::" + boxToken + "::box")
)

// BoxArgs are the inputs of a made-up type with one property of every kind.
type BoxArgs struct {
	resource.Tagged
	Name     string   `pulumi:"name" aws:"forcenew"`
	Size     *int     `pulumi:"size,optional"`
	Zone     *string  `pulumi:"zone,optional" aws:"computed"`
	Host     *string  `pulumi:"host,optional" aws:"computed,forcenew"`
	Note     *string  `pulumi:"note,optional"`
	Members  []string `pulumi:"members,optional" aws:"set"`
	Steps    []string `pulumi:"steps,optional"`
	Document *string  `pulumi:"document,optional" aws:"json"`
	Policy   *string  `pulumi:"policy,optional" aws:"policy"`
	Password *string  `pulumi:"password,optional" aws:"writeonly" provider:"secret"`
	Parts    []part   `pulumi:"parts,optional" aws:"set"`
}

type part struct {
	Kind   string   `pulumi:"kind"`
	Colors []string `pulumi:"colors,optional" aws:"set"`
}

type BoxState struct {
	BoxArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

// shelf is a cloud of boxes in memory. It keeps what was called, and fails where a test tells it to.
type shelf struct {
	mu    sync.Mutex
	boxes map[string]BoxArgs
	calls []string
	fail  map[string]error // by call: create, attach, read, update, delete
}

func newShelf() *shelf { return &shelf{boxes: map[string]BoxArgs{}, fail: map[string]error{}} }

func (s *shelf) call(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	return s.fail[name]
}

// describe is the description of a box: a create in two calls, so that the second can fail.
func (s *shelf) describe() resource.Description[BoxArgs, BoxState] {
	return resource.Description[BoxArgs, BoxState]{
		Token: boxToken,
		Check: func(a *BoxArgs) []resource.Fault {
			if a.Size == nil {
				a.Size = aws.Int(1)
			}
			var faults []resource.Fault
			if *a.Size < 0 {
				faults = append(faults, resource.Fault{Property: "size", Reason: "is negative"})
			}
			if a.Name == "forbidden" {
				faults = append(faults, resource.Fault{Property: "name", Reason: "is forbidden"})
			}
			return faults
		},
		Create: func(_ context.Context, _ *resource.Cloud, a BoxArgs) (string, error) {
			if err := s.call("create"); err != nil {
				return "", err
			}
			if a.Zone == nil {
				a.Zone = aws.String("zone-chosen-by-the-cloud")
			}
			a.Password = nil
			s.boxes[a.Name] = a
			return a.Name, s.call("attach")
		},
		Read: func(_ context.Context, _ *resource.Cloud, id string, prior BoxState) (BoxState, error) {
			if err := s.call("read"); err != nil {
				return prior, err
			}
			box, ok := s.boxes[id]
			if !ok {
				return prior, resource.ErrNotFound
			}
			password := prior.Password
			read := BoxState{BoxArgs: box, Arn: "arn:" + id}
			read.Password, read.TagsAll = password, box.Tags
			return read, nil
		},
		Update: func(_ context.Context, _ *resource.Cloud, id string, _ BoxState, a BoxArgs) error {
			if err := s.call("update"); err != nil {
				return err
			}
			a.Password = nil
			s.boxes[id] = a
			return nil
		},
		Delete: func(_ context.Context, _ *resource.Cloud, id string, _ BoxState) error {
			if err := s.call("delete"); err != nil {
				return err
			}
			delete(s.boxes, id)
			return nil
		},
		Example: func(resource.Scratch) resource.Example[BoxArgs] { return resource.Example[BoxArgs]{} },
	}
}

// serve answers for a resource as the engine would ask for it.
func serve(t *testing.T, c *resource.Cloud, r resource.Resource, functions ...infer.InferredFunction) integration.Server {
	t.Helper()
	require.NoError(t, r.Err)
	provider := infer.Provider(infer.Options{Resources: []infer.InferredResource{r.Infer}, Functions: functions})
	provider = mcontext.Wrap(provider, func(ctx context.Context) context.Context { return resource.WithCloud(ctx, c) })
	server, err := integration.NewServer(context.Background(), "aws", semver.MustParse("6.0.0"), integration.WithProvider(provider))
	require.NoError(t, err)
	return server
}

// serveBoxes serves the boxes of a shelf, with a default tag.
func serveBoxes(t *testing.T, s *shelf) integration.Server {
	t.Helper()
	return serve(t, resource.NewCloud(aws.Config{}, map[string]string{"Environment": "test"}), resource.Define(s.describe()))
}

type fields map[string]any

// with returns a copy with other values; nil removes one.
func (f fields) with(other fields) fields {
	c := maps.Clone(f)
	for k, v := range other {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func values(f fields) property.Map {
	return presource.FromResourcePropertyValue(presource.NewProperty(presource.NewPropertyMapFromMap(f))).AsMap()
}

// checked passes inputs through Check, which must find no fault.
func checked(t *testing.T, server integration.Server, f fields) property.Map {
	t.Helper()
	resp, err := server.Check(p.CheckRequest{Urn: boxURN, Inputs: values(f)})
	require.NoError(t, err)
	require.Empty(t, resp.Failures)
	return resp.Inputs
}

// created makes a box.
func created(t *testing.T, server integration.Server, f fields) p.CreateResponse {
	t.Helper()
	resp, err := server.Create(p.CreateRequest{Urn: boxURN, Properties: checked(t, server, f)})
	require.NoError(t, err)
	return resp
}

func names(m map[string]p.PropertyDiff) []string { return slices.Sorted(maps.Keys(m)) }

func str(m property.Map, name string) string {
	v := m.Get(name)
	if v.IsString() {
		return v.AsString()
	}
	return ""
}

func urn(token string) presource.URN {
	return presource.NewURN("test", "tapstack", "", tokens.Type(token), "it")
}

var errRefused = errors.New("refused by the test")
