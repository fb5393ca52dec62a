package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"tapstack/lib/cloud"
	"tapstack/lib/verify/grants"
)

// This file holds the database's own users to what they need. The database is reachable from inside the VPC only: it is asked
// through Options.Grants where somebody can, else payment-migrate has told in its log.

func grantChecks() []Check {
	return []Check{
		{
			ID:   "database.grants",
			Says: "Proper IAM roles with minimal permissions: the services' database users are no administrators, change no schema, no event and no entry of the ledger, and nothing of each other's (beyond the brief)",
			PCI:  []string{"7.2.1", "7.2.5", "10.3.2"},
			Run:  recorded(databaseGrants),
		},
	}
}

func databaseGrants(ctx context.Context, e *Env, rec *recorder) error {
	c, err1 := e.dbCluster(ctx)
	all, err2 := e.databaseGrants(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	usersMay(rec.on(aws.ToString(c.DBClusterArn)), all)
	return nil
}

func usersMay(x subject, all []grants.Grant) {
	for _, user := range []string{grants.PaymentAPI, grants.JobProcessor} {
		own := slices.DeleteFunc(slices.Clone(all), func(g grants.Grant) bool { return g.Role != user })
		x.includes(user+" may", []string{"LOGIN"}, texts(own, grants.Grant.String))
		x.sameSet(user+" may, and must not", nil, texts(grants.Needless(user, own), grants.Grant.String))
	}
}

func (e *Env) databaseGrants(ctx context.Context) ([]grants.Grant, error) {
	if e.grants != nil {
		all, err := e.grants(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking the database what its users may do: %w", err)
		}
		return all, nil
	}
	return e.loggedGrants(ctx)
}

// loggedGrants are those that the last migration has told of. Nobody but the task writes its log.
func (e *Env) loggedGrants(ctx context.Context) ([]grants.Grant, error) {
	group := e.logGroup(migrationKind())
	lines, err := cloud.Pages(ctx, cloudwatchlogs.NewFilterLogEventsPaginator(e.cloud.Logs, &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &group, FilterPattern: aws.String(`"` + grants.Message + `"`),
	}), func(o *cloudwatchlogs.FilterLogEventsOutput) []logtypes.FilteredLogEvent { return o.Events })
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", group, err)
	}
	var all []grants.Grant
	var run string
	slices.SortStableFunc(lines, func(a, b logtypes.FilteredLogEvent) int {
		return cmp.Compare(aws.ToInt64(b.Timestamp), aws.ToInt64(a.Timestamp))
	})
	for _, line := range lines {
		var told struct {
			Msg    string
			Grants []grants.Grant
		}
		if json.Unmarshal([]byte(aws.ToString(line.Message)), &told) != nil || told.Msg != grants.Message {
			continue
		}
		run = cmp.Or(run, aws.ToString(line.LogStreamName)) // each task has a stream
		if run == aws.ToString(line.LogStreamName) {
			all = append(all, told.Grants...)
		}
	}
	if run == "" {
		return nil, notObservableError("the database is reachable from inside the VPC only, and no task of payment-migrate has logged what its users may do")
	}
	return all, nil
}
