package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"tapstack/lib/verify"
)

// specification is what tap verify --list tells.
type specification struct {
	Counts  specificationCounts `json:"counts"`
	Bullets []specifiedBullet   `json:"bullets"`
	Checks  []specifiedCheck    `json:"checks"`
}

type specificationCounts struct {
	Bullets                int `json:"bullets"`
	Checks                 int `json:"checks"`
	Sabotages              int `json:"sabotages"`
	ChecksWithoutASabotage int `json:"checksWithoutASabotage"`
}

type specifiedBullet struct {
	ID        string   `json:"id"`
	Section   string   `json:"section"`
	Text      string   `json:"text"`
	Checks    []string `json:"checks"`
	Elsewhere string   `json:"elsewhere,omitempty"`
}

type specifiedCheck struct {
	ID        string   `json:"id"`
	Says      string   `json:"says"`
	PCI       []string `json:"pci"`
	Acts      bool     `json:"acts,omitempty"`
	Sabotages []string `json:"sabotages"`
}

// specify puts together what holds the cloud to what, and what proves that it can fail.
func specify(bullets []verify.Bullet, checks []verify.Check, sabotages map[string][]string) specification {
	s := specification{Counts: specificationCounts{Bullets: len(bullets), Checks: len(checks)}}
	for _, b := range bullets {
		s.Bullets = append(s.Bullets, specifiedBullet{b.ID, b.Section, b.Text, append([]string{}, b.Checks...), b.Elsewhere})
	}
	for _, c := range checks {
		proofs := append([]string{}, sabotages[c.ID]...)
		s.Checks = append(s.Checks, specifiedCheck{c.ID, c.Says, append([]string{}, c.PCI...), c.Acts, proofs})
		s.Counts.Sabotages += len(proofs)
		if len(proofs) == 0 {
			s.Counts.ChecksWithoutASabotage++
		}
	}
	return s
}

func (a *app) listSpecification(r *request) error {
	s := specify(verify.Brief(), verify.Checks(), verify.Sabotages())
	if r.json {
		return a.printJSON(s)
	}
	a.printBullets(s.Bullets)
	a.print("")
	a.printChecks(s.Checks)
	a.print("\n%s, %s, %s, %s without a sabotage", plural(s.Counts.Bullets, "bullet"), plural(s.Counts.Checks, "check"),
		plural(s.Counts.Sabotages, "sabotage"), plural(s.Counts.ChecksWithoutASabotage, "check"))
	return nil
}

func (a *app) printBullets(bullets []specifiedBullet) {
	section := ""
	for _, b := range bullets {
		if b.Section != section {
			section = b.Section
			a.print("\n%s", section)
		}
		a.print("  %-6s %s", b.ID, b.Text)
		if len(b.Checks) > 0 {
			a.print("         held by %s", strings.Join(b.Checks, ", "))
		}
		if b.Elsewhere != "" {
			a.print("         held elsewhere: %s", b.Elsewhere)
		}
	}
}

func (a *app) printChecks(checks []specifiedCheck) {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CHECK\tSABOTAGES\tPCI DSS\tSENTENCE")
	for _, c := range checks {
		says := c.Says
		if c.Acts {
			says += " (acts: --act)"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.ID, strconv.Itoa(len(c.Sabotages)), strings.Join(c.PCI, " "), says)
	}
	_ = table.Flush()
}
