package unit_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapstack/lib"
)

func TestARunsNameTellsWhenItBegan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		began := time.Unix(rapid.Int64Range(0, 4102444800).Draw(t, "second"), 0).UTC()
		run := lib.NewRun(began.In(time.FixedZone("east", 7*3600)))
		read, named := lib.RunStart(run)
		if !named || !read.Equal(began) {
			t.Fatalf("%s began at %s, not %s", run, read, began)
		}
		if lib.NewRun(began) == run {
			t.Fatalf("two runs are named %s", run)
		}
	})
	for _, other := range []string{"", lib.ManualRun, "20261124T060000Z", "20261124T060000Z-", "20261124T060000Z-xyzxyz", "2026-11-24-0a1b2c", "20261324T060000Z-0a1b2c", "20261124T060000Z-0a1b2c4d"} {
		if start, named := lib.RunStart(other); named {
			t.Errorf("%q is taken for a run that began at %s", other, start)
		}
	}
}

func TestAnExpiryIsReadAsItIsWritten(t *testing.T) {
	at := time.Date(2026, 11, 24, 7, 0, 0, 0, time.FixedZone("east", 3600))
	if got := lib.FormatExpiry(at); got != "2026-11-24T06:00:00Z" {
		t.Errorf("the expiry reads %s", got)
	}
	if read, err := lib.ParseExpiry(lib.FormatExpiry(at)); err != nil || !read.Equal(at) {
		t.Errorf("read as %s, %v", read, err)
	}
	if never, err := lib.ParseExpiry(lib.NeverExpires); err != nil || !never.IsZero() {
		t.Errorf("never reads as %s, %v", never, err)
	}
	if _, err := lib.ParseExpiry("tomorrow"); err == nil {
		t.Error("tomorrow is taken for a time")
	}
}

func TestEveryResourceIsTaggedWithItsOwnerRunAndExpiry(t *testing.T) {
	given := map[string]string{
		"owner": "team-a", "run": "20261124T060000Z-0a1b2c", "expires": "2026-11-24T12:00:00Z", "allowedAccountIds": "123456789012, 210987654321",
	}
	provider := deploy(t, given).one(t, "aws")
	same(t, "default tags", provider.at(t, "defaultTags", "tags"), map[string]string{
		"Environment": "production", "MigrationBatch": "phase-1",
		lib.TagOwner: "team-a", lib.TagRun: "20261124T060000Z-0a1b2c", lib.TagExpires: "2026-11-24T12:00:00Z",
	})
	same(t, "accounts that the provider may touch", provider.at(t, "allowedAccountIds"), []string{"123456789012", "210987654321"})
}

func TestEveryRoleIsBoundedWhereABoundaryIsGiven(t *testing.T) {
	const boundary = "arn:aws:iam::123456789012:policy/boundary"
	bounded := deploy(t, map[string]string{"permissionsBoundaryArn": boundary}).ofType("aws:iam/role:Role")
	same(t, "roles", len(bounded), 6)
	for _, role := range bounded {
		same(t, role.name, role.at(t, "permissionsBoundary"), boundary)
	}
	for _, role := range deploy(t, nil).ofType("aws:iam/role:Role") {
		if _, set := role.plain["permissionsBoundary"]; set {
			t.Errorf("%s has a boundary that nobody gave", role.name)
		}
	}
}
