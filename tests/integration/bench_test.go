package integration

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blang/semver"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider"
	"tapstack/lib/target"
)

// BenchmarkPlatform times the deployment and the removal of the whole stack against their floor: the same resources,
// made by the same AWS calls in the order of their dependencies, against the same emulator, with no engine, no program
// and no gRPC in between. It reports seconds, and the ratios of the two.
func BenchmarkPlatform(b *testing.B) {
	ctx := context.Background()
	cloud := openCloud(ctx, b)

	var up, down, floorUp, floorDown time.Duration
	for i := range b.N {
		suffix := fmt.Sprintf("bench-%d", i)
		var calls recording
		deployed, destroyed := lifecycleOnce(ctx, b, cloud, suffix, &calls)
		up, down = up+deployed, down+destroyed
		made, removed := replay(ctx, b, cloud, calls.created)
		floorUp, floorDown = floorUp+made, floorDown+removed
	}
	b.ReportMetric(0, "ns/op")
	n := float64(b.N)
	b.ReportMetric(up.Seconds()/n, "deploy-s")
	b.ReportMetric(floorUp.Seconds()/n, "deploy-floor-s")
	b.ReportMetric(up.Seconds()/floorUp.Seconds(), "deploy-ratio")
	b.ReportMetric(down.Seconds()/n, "destroy-s")
	b.ReportMetric(floorDown.Seconds()/n, "destroy-floor-s")
	b.ReportMetric(down.Seconds()/floorDown.Seconds(), "destroy-ratio")
}

// lifecycleOnce deploys and destroys through the engine, and records what the provider was asked to create.
func lifecycleOnce(ctx context.Context, b *testing.B, cloud *target.Target, suffix string, calls *recording) (up, down time.Duration) {
	b.Helper()
	options := defaults(target.Options{}, suffix, b.TempDir())
	options.Cloud, options.Provider = cloud, awsprovider.NewPlugin(cloud.Config).Watch(calls.watch)
	s := openSession(ctx, b, options)
	deployed, err := s.Stack.Up(ctx)
	require.NoError(b, err)
	destroyed, err := s.Stack.Destroy(ctx)
	require.NoError(b, err)
	return deployed.Duration, destroyed.Duration
}

// recording keeps the creates in the order in which they ended, which is an order of their dependencies.
type recording struct {
	mu      sync.Mutex
	created []creation
}

type creation struct {
	req  p.CreateRequest
	resp p.CreateResponse
}

func (r *recording) watch(provider p.Provider) p.Provider {
	create := provider.Create
	provider.Create = func(ctx context.Context, req p.CreateRequest) (p.CreateResponse, error) {
		resp, err := create(ctx, req)
		if err == nil && !req.DryRun {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.created = append(r.created, creation{req, resp})
		}
		return resp, err
	}
	return provider
}

// replay makes the recorded resources anew, one after the other, and removes them in the opposite order. Ids, ARNs and
// addresses that the cloud chose are replaced by those that it chooses this time.
func replay(ctx context.Context, b *testing.B, cloud *target.Target, created []creation) (up, down time.Duration) {
	b.Helper()
	provider, err := awsprovider.New(cloud.Config)
	require.NoError(b, err)
	server, err := integration.NewServer(ctx, "aws", semver.MustParse("6.0.0"), integration.WithProvider(provider))
	require.NoError(b, err)
	require.NoError(b, server.Configure(p.ConfigureRequest{Args: property.NewMap(map[string]property.Value{
		"region": property.New(target.Region),
	})}))

	known := renaming{}
	made := make([]creation, len(created))
	for i, c := range created {
		req := p.CreateRequest{Urn: c.req.Urn, Properties: known.apply(property.New(c.req.Properties)).AsMap()}
		started := time.Now() // the renaming is this benchmark's own work, not the floor's
		resp, err := server.Create(req)
		up += time.Since(started)
		require.NoError(b, err, "making %s again", c.req.Urn)
		known.learn(property.New(c.resp.ID), property.New(resp.ID))
		known.learn(property.New(c.resp.Properties), property.New(resp.Properties))
		made[i] = creation{req, resp}
	}
	started := time.Now()
	for i := len(made) - 1; i >= 0; i-- {
		err := server.Delete(p.DeleteRequest{ID: made[i].resp.ID, Urn: made[i].req.Urn, Properties: made[i].resp.Properties})
		require.NoError(b, err, "removing %s", made[i].req.Urn)
	}
	return up, time.Since(started)
}

// renaming maps what the cloud chose the first time to what it chose the second time.
type renaming map[string]string

// learn compares two answers of the cloud that mean the same. What is known already stays: a list that the cloud gives back
// in the order of its ids pairs them wrongly, after the resources themselves have told them rightly.
func (r renaming) learn(old, now property.Value) {
	switch {
	case old.IsString() && now.IsString():
		was := old.AsString()
		if _, known := r[was]; !known && was != now.AsString() && len(was) > 6 && !strings.ContainsAny(was, "{ \n") {
			r[was] = now.AsString()
		}
	case old.IsArray() && now.IsArray():
		for i := range min(old.AsArray().Len(), now.AsArray().Len()) {
			r.learn(old.AsArray().Get(i), now.AsArray().Get(i))
		}
	case old.IsMap() && now.IsMap():
		for key, value := range old.AsMap().All {
			r.learn(value, now.AsMap().Get(key))
		}
	}
}

// apply renames in every string of a value, longest names first.
func (r renaming) apply(v property.Value) property.Value {
	var pairs []string
	olds := make([]string, 0, len(r))
	for old := range r {
		olds = append(olds, old)
	}
	sort.Slice(olds, func(i, j int) bool { return len(olds[i]) > len(olds[j]) })
	for _, old := range olds {
		pairs = append(pairs, old, r[old])
	}
	return rename(strings.NewReplacer(pairs...), v)
}

func rename(names *strings.Replacer, v property.Value) property.Value {
	switch {
	case v.IsString():
		return property.New(names.Replace(v.AsString()))
	case v.IsArray():
		items := make([]property.Value, 0, v.AsArray().Len())
		for _, item := range v.AsArray().All {
			items = append(items, rename(names, item))
		}
		return property.New(items)
	case v.IsMap():
		fields := map[string]property.Value{}
		for key, value := range v.AsMap().All {
			fields[key] = rename(names, value)
		}
		return property.New(fields)
	}
	return v
}
