package verify

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/verify/grants"
)

func grantsReport(t *testing.T, asked func(context.Context) ([]grants.Grant, error), log ...logtypes.FilteredLogEvent) Result {
	t.Helper()
	e := newEnv(Options{Suffix: "dev", Region: "us-east-1", Grants: asked, AWS: acts{"FilterLogEvents": &cloudwatchlogs.FilterLogEventsOutput{Events: log}}.config()})
	return runOne(t.Context(), e, Check{ID: "database.grants", Run: recorded(func(ctx context.Context, e *Env, rec *recorder) error {
		all, err := e.databaseGrants(ctx)
		if err != nil {
			return err
		}
		usersMay(rec.on(""), all)
		return nil
	})}, false)
}

func line(task, message string, at int64) logtypes.FilteredLogEvent {
	return logtypes.FilteredLogEvent{LogStreamName: &task, Message: &message, Timestamp: aws.Int64(at)}
}

func TestWhatTheDatabaseSaysOfItsUsersIsJudged(t *testing.T) {
	sound := []grants.Grant{{Role: grants.PaymentAPI, Privilege: "LOGIN"}, {Role: grants.JobProcessor, Privilege: "LOGIN"}}
	answer := func(all ...grants.Grant) func(context.Context) ([]grants.Grant, error) {
		return func(context.Context) ([]grants.Grant, error) { return all, nil }
	}
	assert.Equal(t, Passed, grantsReport(t, answer(sound...)).Status)
	assert.Equal(t, Failed, grantsReport(t, answer()).Status, "no user is there")
	r := grantsReport(t, answer(append(sound, grants.Grant{Role: grants.JobProcessor, Privilege: "CREATEROLE"})...))
	assert.Equal(t, Failed, r.Status)
	assert.Contains(t, r.Reason, "job_processor may, and must not: expected none, got CREATEROLE")
	r = grantsReport(t, func(context.Context) ([]grants.Grant, error) { return nil, errors.New("refused") })
	assert.Equal(t, Failed, r.Status)
	assert.Contains(t, r.Reason, "asking the database what its users may do: refused")
}

func TestWhereNobodyAsksTheDatabaseTheLastMigrationHasTold(t *testing.T) {
	const api, jobs = `{"msg":"database grants","grants":[{"role":"payment_api","privilege":"LOGIN"}]}`, `{"msg":"database grants","grants":[{"role":"job_processor","privilege":"LOGIN"}]}`
	const wide = `{"msg":"database grants","grants":[{"role":"payment_api","privilege":"SUPERUSER"}]}`
	for _, c := range []struct {
		what string
		log  []logtypes.FilteredLogEvent
		want Status
	}{
		{"nothing", nil, NotObservable},
		{"something else", []logtypes.FilteredLogEvent{line("1", "database grants are made", 1), line("1", `{"msg":"other"}`, 2)}, NotObservable},
		{"both users", []logtypes.FilteredLogEvent{line("1", api, 1), line("1", jobs, 1)}, Passed},
		{"one user", []logtypes.FilteredLogEvent{line("1", api, 1)}, Failed},
		{"too much", []logtypes.FilteredLogEvent{line("1", api, 1), line("1", jobs, 1), line("1", wide, 1)}, Failed},
		{"too much, mended by a later task", []logtypes.FilteredLogEvent{line("1", wide, 1), line("2", api, 2), line("2", jobs, 3)}, Passed},
		{"right first, too much by a later task", []logtypes.FilteredLogEvent{line("2", wide, 3), line("1", api, 1), line("1", jobs, 1)}, Failed},
	} {
		r := grantsReport(t, nil, c.log...)
		assert.Equal(t, c.want, r.Status, "%s: %s", c.what, r.Reason)
		if c.want == NotObservable {
			require.Contains(t, r.Reason, "inside the VPC only")
		}
	}
}
