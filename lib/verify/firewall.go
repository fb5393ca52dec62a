package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"tapstack/lib"
	"tapstack/lib/inventory"
)

func firewallChecks() []Check {
	return []Check{
		{
			ID:   "waf.in-front",
			Says: "Maintaining PCI DSS compliance: a web application firewall stands in front of the load balancer and blocks (beyond the brief)",
			PCI:  []string{"6.4.2"},
			Run:  recorded(ofFirewall(firewallInFront)),
		},
		{
			ID:   "waf.rules",
			Says: "The firewall has AWS's rules against common attacks, known bad inputs, SQL injection and bad addresses, and a rate limit (beyond the brief)",
			PCI:  []string{"6.4.2"},
			Run:  recorded(ofFirewall(firewallRules)),
		},
		{
			ID:   "waf.logging",
			Says: "The firewall logs to its own log group, without credentials: authorization, cookies, API keys, query strings (beyond the brief)",
			PCI:  []string{"6.4.2", "10.2.1"},
			Run:  recorded(ofFirewall(firewallLogs)),
		},
	}
}

// managedRules are the rule groups of AWS's that must be there.
func managedRules() []string {
	return []string{
		"AWSManagedRulesAmazonIpReputationList",
		"AWSManagedRulesCommonRuleSet",
		"AWSManagedRulesKnownBadInputsRuleSet",
		"AWSManagedRulesSQLiRuleSet",
	}
}

// noFirewall is how the configuration leaves the firewall out.
const noFirewall = "waf is configured to false"

// errNoFirewall is for checks of other matters, which need not fail for want of a firewall.
var errNoFirewall = errors.New("no web ACL is associated")

// firewall is the web ACL in front of the load balancer.
func (e *Env) firewall(ctx context.Context) (*waftypes.WebACL, error) {
	lb, err := e.output(lib.OutputAlbArn)
	if err != nil {
		return nil, err
	}
	acl, err := e.cloud.WebACLFor(ctx, lb)
	if err == nil && acl == nil {
		err = fmt.Errorf("%w with %s", errNoFirewall, lb)
	}
	return acl, err
}

func ofFirewall(look func(ctx context.Context, e *Env, x subject, acl *waftypes.WebACL) error) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		cfg, err := e.configuration()
		if err == nil && !cfg.WAF {
			rec.off(noFirewall)
			return nil
		}
		if err != nil {
			return err
		}
		acl, err := e.firewall(ctx)
		if err != nil {
			return err
		}
		return look(ctx, e, rec.on(aws.ToString(acl.ARN)), acl)
	}
}

func firewallInFront(_ context.Context, _ *Env, x subject, acl *waftypes.WebACL) error {
	x.record("rules", "at least 1", len(acl.Rules), len(acl.Rules) > 0)
	var bypasses []string
	for _, r := range acl.Rules {
		if r.Action != nil && r.Action.Allow != nil {
			bypasses = append(bypasses, aws.ToString(r.Name))
		}
	}
	x.sameSet("rules that let requests past the others", nil, bypasses)
	x.equal("metrics", true, acl.VisibilityConfig != nil && acl.VisibilityConfig.CloudWatchMetricsEnabled)
	return nil
}

func firewallRules(_ context.Context, e *Env, x subject, acl *waftypes.WebACL) error {
	cfg, err := e.configuration()
	if err != nil {
		return err
	}
	if cfg.WAFCountOnly {
		x.rec.off("wafCountOnly is configured to true")
	}
	var blocking []string
	rateLimited := false
	for _, r := range acl.Rules {
		st := r.Statement
		switch {
		case st == nil:
		case st.ManagedRuleGroupStatement != nil && (cfg.WAFCountOnly || blocks(r)):
			blocking = append(blocking, aws.ToString(st.ManagedRuleGroupStatement.Name))
		case st.RateBasedStatement != nil && r.Action != nil && (cfg.WAFCountOnly || r.Action.Block != nil):
			rateLimited = rateLimited || aws.ToInt64(st.RateBasedStatement.Limit) == int64(cfg.WAFRateLimit)
		}
	}
	x.includes("managed rule groups, which block unless they are to count", managedRules(), blocking)
	x.equal(fmt.Sprintf("rate limit of %d requests", cfg.WAFRateLimit), true, rateLimited)
	return nil
}

// blocks tells whether a managed rule group acts as AWS made it: on every request, and with every rule save those that may
// count.
func blocks(r waftypes.Rule) bool {
	group := r.Statement.ManagedRuleGroupStatement
	silenced := slices.ContainsFunc(group.RuleActionOverrides, func(o waftypes.RuleActionOverride) bool {
		mayCount := slices.Contains(rulesThatMayCount(), aws.ToString(group.Name)+" "+aws.ToString(o.Name))
		return !mayCount || o.ActionToUse == nil || o.ActionToUse.Count == nil
	})
	return (r.OverrideAction == nil || r.OverrideAction.Count == nil) && group.ScopeDownStatement == nil && len(group.ExcludedRules) == 0 && !silenced
}

// rulesThatMayCount break merchants' servers without being attacks (docs/decisions, "The firewall and merchants' servers").
func rulesThatMayCount() []string {
	return []string{"AWSManagedRulesCommonRuleSet NoUserAgent_HEADER", "AWSManagedRulesCommonRuleSet SizeRestrictions_BODY"}
}

func firewallLogs(ctx context.Context, e *Env, x subject, acl *waftypes.WebACL) error {
	out, err := e.cloud.WAF.GetLoggingConfiguration(ctx, &wafv2.GetLoggingConfigurationInput{ResourceArn: acl.ARN})
	if err != nil {
		return fmt.Errorf("reading the firewall's logging: %w", err)
	}
	if out.LoggingConfiguration == nil {
		return fmt.Errorf("the firewall %s logs nothing", aws.ToString(acl.Name))
	}
	groups, err := e.cloud.LogGroups(ctx)
	if err != nil {
		return err
	}
	destinations := out.LoggingConfiguration.LogDestinationConfigs
	x.equal("destinations", 1, len(destinations))
	for _, d := range destinations {
		_, name, _ := strings.Cut(d, ":log-group:")
		name = strings.TrimSuffix(name, ":*")
		x.record("destination", "an existing log group of this stack", name, findLogGroup(groups, name) != nil && inventory.LogGroup.MayBelong(name, e.Suffix))
	}
	var redacted []string
	for _, f := range out.LoggingConfiguration.RedactedFields {
		switch {
		case f.SingleHeader != nil:
			redacted = append(redacted, strings.ToLower(aws.ToString(f.SingleHeader.Name)))
		case f.QueryString != nil:
			redacted = append(redacted, "the query string")
		}
	}
	x.includes("redacted", []string{"authorization", "cookie", "the query string", "x-api-key"}, redacted)
	return nil
}
