package unit_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// subnetZones are the zones of the public subnets, in order.
func subnetZones(t *testing.T, r *recorder) (zones []any) {
	t.Helper()
	for i := 1; i <= 3; i++ {
		zones = append(zones, r.one(t, fmt.Sprintf("public-subnet-%d", i)).at(t, "availabilityZone"))
	}
	return zones
}

func TestThreeZonesAreChosenByZoneIdAmongThoseEveryAccountHas(t *testing.T) {
	r := deploy(t, nil)
	asked := plainMap(r.calls["aws:index/getAvailabilityZones:getAvailabilityZones"].arguments)
	assert.Equal(t, map[string]any{
		"state":   "available",
		"filters": []any{map[string]any{"name": "opt-in-status", "values": []any{"opt-in-not-required"}}},
	}, asked)
	// az1, az2 and az4 come before az6; their names are in no order.
	assert.Equal(t, []any{"us-east-1c", "us-east-1b", "us-east-1a"}, subnetZones(t, r))
}

func TestAnIncompleteZoneIsTakenOnlyWhenThereAreNotEnoughOthers(t *testing.T) {
	few := newRecorder()
	few.Zones = map[string]string{"use1-az2": "us-east-1a", "use1-az3": "us-east-1b", "use1-az4": "us-east-1c"}
	require.NoError(t, few.run(nil))
	assert.Equal(t, []any{"us-east-1a", "us-east-1c", "us-east-1b"}, subnetZones(t, few))
}

func TestARegionWithoutThreeZonesIsRefused(t *testing.T) {
	r := newRecorder()
	r.Zones = map[string]string{"usw1-az1": "us-west-1a", "usw1-az3": "us-west-1b"}
	require.ErrorContains(t, r.run(nil), "2 of the 3 usable zones that are needed")
}

// TestAZoneThatAppearsLaterMovesNothing compares two runs between which AWS opened a zone that sorts first. The engine
// keeps what ignoreChanges names, and everything else takes its zone from those resources' state: apart from the
// ignored inputs, nothing may follow the new choice except through a resource's own output.
func TestAZoneThatAppearsLaterMovesNothing(t *testing.T) {
	before, after := deploy(t, nil), newRecorder()
	after.Zones["use1-az0"] = "us-east-1f"
	require.NoError(t, after.run(nil))
	require.NotEqual(t, subnetZones(t, before), subnetZones(t, after), "the new zone was not chosen: the test shows nothing")

	sources := map[string]string{
		"private-subnet-1": "public-subnet-1", "private-subnet-2": "public-subnet-2", "private-subnet-3": "public-subnet-3",
		"aurora-writer": "private-subnet-1", "aurora-reader-1": "private-subnet-2", "aurora-reader-2": "private-subnet-3",
	}
	for name, d := range after.resources {
		for input, value := range d.plain {
			if slices.Contains(d.request.GetIgnoreChanges(), input) || assert.ObjectsAreEqual(before.resources[name].plain[input], value) {
				continue
			}
			assert.Contains(t, d.sources(input), sources[name], "%s.%s follows the choice of zones", name, input)
		}
	}
	for _, name := range []string{"public-subnet-1", "public-subnet-2", "public-subnet-3"} {
		assert.Equal(t, []string{"availabilityZone"}, after.one(t, name).request.GetIgnoreChanges())
	}
}

func TestAConfiguredChoiceOfZonesIsObeyedAndMovesSubnets(t *testing.T) {
	r := deploy(t, map[string]string{"availabilityZones": "us-east-1f, us-east-1a,us-east-1b"})
	assert.Equal(t, []any{"us-east-1f", "us-east-1a", "us-east-1b"}, subnetZones(t, r))
	assert.Empty(t, r.one(t, "public-subnet-1").request.GetIgnoreChanges())
	assert.NotContains(t, r.calls, "aws:index/getAvailabilityZones:getAvailabilityZones")
}
