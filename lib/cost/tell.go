package cost

import (
	"fmt"
	"strings"
	"time"
)

// PlannedRun is how long a nightly run on AWS is planned to take: deploy, verify, update, destroy.
const PlannedRun = 90 * time.Minute

// String writes the duration without what is 0 of it: 1h30m.
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if trimmed := strings.TrimSuffix(text, "0m"); strings.HasSuffix(trimmed, "h") {
		text = trimmed
	}
	return text
}

// Warnings say how far the estimate of a stack that goes to a region may be off.
func (t *Table) Warnings(estimate Estimate, region string, now time.Time) []string {
	warnings := []string{}
	if region != t.Region {
		warnings = append(warnings, fmt.Sprintf("the prices are those of %s, and the stack goes to %s, where they differ", t.Region, region))
	}
	if t.Stale(now) {
		warnings = append(warnings, fmt.Sprintf("the oldest price was last checked on %s: look them up again (lib/cost/prices)", t.Checked()))
	}
	if keys := estimate.Unconfirmed(); len(keys) > 0 {
		warnings = append(warnings, "prices that no public source was found for: "+strings.Join(keys, ", "))
	}
	if len(estimate.Missing) > 0 {
		warnings = append(warnings, "left out, since no price is known: "+estimate.missing())
	}
	return warnings
}

// Notes are the estimate in three lines.
func (e Estimate) Notes() []string {
	return []string{
		fmt.Sprintf("cost, estimated: %s$%s for a run of %s,", e.AtLeast(), e.Total.Run.Fixed(2), e.Run),
		fmt.Sprintf("  $%s an hour, $%s a month, before traffic, taxes and discounts;", e.Total.Hour.Fixed(2), e.Total.Month.Fixed(0)),
		fmt.Sprintf("  list prices of %s, last checked %s. tap cost tells the details.", e.Region, e.Checked),
	}
}

// AtLeast goes before sums that something is left out of.
func (e Estimate) AtLeast() string {
	if len(e.Missing) > 0 {
		return "more than "
	}
	return ""
}

// missing names what has no price, with the resources that share a reason together.
func (e Estimate) missing() string {
	var reasons []string
	names := map[string][]string{}
	for _, it := range e.Missing {
		reason := it.Why + ", " + it.Type
		if names[reason] == nil {
			reasons = append(reasons, reason)
		}
		names[reason] = append(names[reason], it.Resource)
	}
	for index, reason := range reasons {
		reasons[index] = fmt.Sprintf("%s (%s)", strings.Join(names[reason], ", "), reason)
	}
	return strings.Join(reasons, "; ")
}

// Limits are what an estimate may come to, in dollars. Nil is no limit.
type Limits struct{ Run, Month *Amount }

// Exceeded tells what of the estimate is over a limit. What has no price is over every limit.
func (l Limits) Exceeded(e Estimate) []string {
	var over []string
	if limited := l.Run != nil || l.Month != nil; limited && len(e.Missing) > 0 {
		over = append(over, "the cost cannot be held to a limit, since no price is known: "+e.missing())
	}
	for _, limit := range []struct {
		what  string
		most  *Amount
		costs Amount
	}{{"a run", l.Run, e.Total.Run}, {"a month", l.Month, e.Total.Month}} {
		if limit.most != nil && limit.costs.Cmp(*limit.most) > 0 {
			over = append(over, fmt.Sprintf("%s costs $%s, more than the limit of $%s", limit.what, limit.costs.Fixed(2), limit.most))
		}
	}
	return over
}
