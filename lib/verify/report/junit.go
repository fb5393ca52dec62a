package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// suiteName is the root of the class names under which CI systems group the checks.
const suiteName = "tapstack"

// renderJUnit makes one test suite an area and one test case a check. What cannot be observed or is switched off is skipped,
// the nearest thing that the format knows.
func renderJUnit(doc document) ([]byte, error) {
	all := junit.Testsuites{Name: suiteName + " " + doc.Suffix, Time: secondsText(doc.DurationMS)}
	for i, group := range byArea(doc.Checks) {
		all.AddSuite(testSuite(i, group, doc))
	}
	out := bytes.NewBufferString(xml.Header)
	if err := all.WriteXML(out); err != nil {
		return nil, fmt.Errorf("encoding the test suites: %w", err)
	}
	return out.Bytes(), nil
}

func testSuite(index int, group []check, doc document) junit.Testsuite {
	suite := junit.Testsuite{ID: index, Name: suiteName + "." + area(group[0].ID)}
	for _, p := range []struct{ name, value string }{
		{"suffix", doc.Suffix},
		{"account", doc.Target.Account},
		{"region", doc.Target.Region},
		{"where", doc.Target.Where},
		{"problem", doc.Problem},
	} {
		if p.value != "" {
			suite.AddProperty(p.name, p.value)
		}
	}
	var spent float64
	first := group[0].At
	for _, c := range group {
		suite.AddTestcase(testCase(c))
		spent += c.DurationMS
		if c.At.Before(first) {
			first = c.At
		}
	}
	suite.Time = secondsText(spent)
	suite.SetTimestamp(first.Truncate(time.Second))
	return suite
}

func testCase(c check) junit.Testcase {
	it := junit.Testcase{Classname: suiteName + "." + area(c.ID), Name: c.ID + ": " + c.Says, Time: secondsText(c.DurationMS)}
	switch status(c.Status) {
	case failed:
		it.Failure = &junit.Result{Message: c.Reason, Type: "check", Data: evidenceText(c)}
	case notObservable:
		it.Skipped = &junit.Result{Message: "not observable here: " + c.Reason}
	case switchedOff:
		it.Skipped = &junit.Result{Message: "switched off by configuration: " + c.Reason}
	default:
		it.SystemOut = &junit.Output{Data: evidenceText(c)}
	}
	return it
}

// evidenceText tells of a check in lines, every observation that failed among them.
func evidenceText(c check) string {
	var lines []string
	for _, l := range []struct{ name, text string }{
		{"expected", c.Expected}, {"actual", c.Actual}, {"resource", c.ARN}, {"PCI DSS", strings.Join(c.PCI, ", ")},
	} {
		if l.text != "" {
			lines = append(lines, l.name+": "+l.text)
		}
	}
	for _, o := range c.Observations {
		if !o.OK {
			lines = append(lines, fmt.Sprintf("- %s: expected %s, got %s %s", o.What, orNothing(o.Expected), orNothing(o.Actual), o.ARN))
		}
	}
	return strings.Join(lines, "\n")
}

// byArea groups neighbouring checks and those that come later of the same area, in the order in which areas first occur.
func byArea(checks []check) [][]check {
	var groups [][]check
	at := map[string]int{}
	for _, c := range checks {
		i, known := at[area(c.ID)]
		if !known {
			i = len(groups)
			at[area(c.ID)] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

func secondsText(milliseconds float64) string { return fmt.Sprintf("%.3f", milliseconds/1000) }

// orNothing makes an empty value visible.
func orNothing(text string) string {
	if strings.TrimSpace(text) == "" {
		return "(nothing)"
	}
	return text
}
