package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"tapstack/lib"
)

// This file finds the one reason behind many failed checks: the wrong cloud, an incomplete stack, or credentials that may
// not read.

// ledger counts the API calls of a run and remembers those that were refused.
type ledger struct {
	mu      sync.Mutex
	calls   int
	refused map[string]int // by operation
}

// keep is for aws.Config.APIOptions. Retries are part of one call.
func (l *ledger) keep(stack *middleware.Stack) error {
	note := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.calls++
		if isRefused(err) && ctx.Value(refusalExpected{}) == nil {
			if l.refused == nil {
				l.refused = map[string]int{}
			}
			l.refused[awsmiddleware.GetServiceID(ctx)+" "+awsmiddleware.GetOperationName(ctx)]++
		}
		return out, metadata, err
	}
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("tapstack:ledger", note), middleware.After)
}

// refusalExpected marks the context of a call that is meant to be refused, which tells nothing of the credentials.
type refusalExpected struct{}

func expectRefusal(ctx context.Context) context.Context {
	return context.WithValue(ctx, refusalExpected{}, true)
}

// isRefused reports an answer that says that the credentials may not ask, or are none at all.
func isRefused(err error) bool {
	var api smithy.APIError
	if errors.As(err, &api) {
		code := strings.ToLower(api.ErrorCode())
		if slices.ContainsFunc(refusalWords(), func(word string) bool { return strings.Contains(code, word) }) {
			return true
		}
	}
	var answer *awshttp.ResponseError
	return errors.As(err, &answer) &&
		(answer.HTTPStatusCode() == http.StatusForbidden || answer.HTTPStatusCode() == http.StatusUnauthorized)
}

// refusalWords are in the codes with which AWS's services refuse, in lower case.
func refusalWords() []string {
	return []string{
		"accessdenied", "unauthorized", "authfailure", "notauthorized", "authorizationerror", "invalidclienttoken", "expiredtoken",
		"unrecognizedclient", "optinrequired",
	}
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls
}

// refusals is one line on the calls that were refused; empty when none was.
func (l *ledger) refusals() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refused) == 0 {
		return ""
	}
	const shown = 5
	operations := slices.Sorted(maps.Keys(l.refused))
	more := ""
	if len(operations) > shown {
		more = fmt.Sprintf(" and %d more", len(operations)-shown)
		operations = operations[:shown]
	}
	return fmt.Sprintf("the credentials may not read everything: refused were %s%s", strings.Join(operations, ", "), more)
}

// textOutputs and listOutputs are the outputs without which there is nothing to check.
func textOutputs() []string {
	return []string{
		lib.OutputVpcID, lib.OutputAlbDNSName, lib.OutputAlbZoneID, lib.OutputAlbArn, lib.OutputAPIURL, lib.OutputClusterEndpoint,
		lib.OutputClusterReaderEndpoint, lib.OutputClusterIdentifier, lib.OutputDBEngineVersion, lib.OutputDBSecretArn, lib.OutputAPIKeysSecretArn,
		lib.OutputEcsClusterName, lib.OutputPaymentAPIServiceName, lib.OutputJobProcessorServiceName, lib.OutputQueueURL, lib.OutputDlqURL,
		lib.OutputAlertsTopicArn, lib.OutputDashboardURL,
	}
}

func listOutputs() []string {
	return []string{
		lib.OutputPublicSubnetIDs, lib.OutputPrivateSubnetIDs, lib.OutputAvailabilityZones, lib.OutputLogGroupNames, lib.OutputParameterNames,
	}
}

// problem is the reason behind a run as a whole, where there is one: a line for the reader, empty when all is well.
func (e *Env) problem(ctx context.Context) string {
	who, err := e.identity(ctx)
	if err != nil {
		return "nobody says whose cloud this is: " + oneLine(err)
	}
	if len(e.outputs) == 0 {
		return "the stack has no outputs: it does not exist, or its deployment never came to its end"
	}
	var lacks []string
	for _, name := range textOutputs() {
		if _, err := e.output(name); err != nil {
			lacks = append(lacks, name)
		}
	}
	for _, name := range listOutputs() {
		if _, err := e.outputList(name); err != nil {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) > 0 {
		return "the stack is not deployed to its end: it has no output " + strings.Join(lacks, ", ")
	}
	if elsewhere := e.elsewhere(who); elsewhere != "" {
		return elsewhere
	}
	return e.ledger.refusals()
}

// elsewhere compares where the stack says it is with who was asked.
func (e *Env) elsewhere(who Target) string {
	for _, output := range arnOutputs() {
		value, _ := e.output(output)
		id, err := arn.Parse(value)
		if err != nil {
			return fmt.Sprintf("the stack's output %q is no ARN: %v", output, err)
		}
		if id.Region != e.Region || id.AccountID != who.Account {
			return fmt.Sprintf("the stack is in account %s, region %s; asked was account %s, region %s", id.AccountID, id.Region, who.Account, e.Region)
		}
	}
	return ""
}

// arnOutputs are outputs that tell where the stack is.
func arnOutputs() []string {
	return []string{lib.OutputAlbArn, lib.OutputAlertsTopicArn, lib.OutputDBSecretArn}
}
