package verify

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// This file finds the one reason behind many failed checks: the wrong cloud, an incomplete stack, or credentials that may
// not read.

// textOutputs and listOutputs are the outputs without which there is nothing to check.
func textOutputs() []string {
	return []string{
		lib.OutputVpcID, lib.OutputAlbDNSName, lib.OutputAlbZoneID, lib.OutputAlbArn, lib.OutputAPIURL, lib.OutputClusterEndpoint,
		lib.OutputClusterReaderEndpoint, lib.OutputClusterIdentifier, lib.OutputDBEngineVersion, lib.OutputDBSecretArn, lib.OutputAPIKeysSecretArn,
		lib.OutputPaymentAPIDBSecretArn, lib.OutputJobProcessorDBSecretArn, lib.OutputPaymentMigrateTaskDefinition, lib.OutputPaymentMigrateSecurityGroup,
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
	caller, err := e.cloud.Identity(ctx)
	if err != nil {
		return "the account cannot be identified: " + oneLine(err)
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
	if _, err := e.configuration(); err != nil {
		return oneLine(err)
	}
	if wrongLocation := e.wrongLocation(caller); wrongLocation != "" {
		return wrongLocation
	}
	return refusals(e.cloud.Refused())
}

// refusals is one line on the operations that were refused; empty when none was.
func refusals(operations []string) string {
	if len(operations) == 0 {
		return ""
	}
	const shown = 5
	more := ""
	if len(operations) > shown {
		more = fmt.Sprintf(" and %d more", len(operations)-shown)
		operations = operations[:shown]
	}
	return fmt.Sprintf("the credentials may not read everything: refused were %s%s", strings.Join(operations, ", "), more)
}

// wrongLocation compares where the stack says it is with who was asked.
func (e *Env) wrongLocation(caller cloud.Identity) string {
	for _, output := range arnOutputs() {
		value, _ := e.output(output)
		id, err := arn.Parse(value)
		if err != nil {
			return fmt.Sprintf("the stack's output %q is no ARN: %v", output, err)
		}
		if id.Region != e.cloud.Region || id.AccountID != caller.Account {
			return fmt.Sprintf("the stack is in account %s, region %s; asked was account %s, region %s", id.AccountID, id.Region, caller.Account, e.cloud.Region)
		}
	}
	return ""
}

// arnOutputs are outputs that tell where the stack is.
func arnOutputs() []string {
	return []string{lib.OutputAlbArn, lib.OutputAlertsTopicArn, lib.OutputDBSecretArn}
}
