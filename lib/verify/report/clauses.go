package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// clauseTitles say in a few words of our own what the PCI DSS v4.0.1 requirements that checks name are about. The
// standard's text is its publisher's: https://www.pcisecuritystandards.org/document_library/.
var clauseTitles = map[string]string{
	"1.2.1":  "Rule sets of network controls are defined and kept",
	"1.2.5":  "Every service, protocol and port that is allowed is known and needed",
	"1.3.1":  "Inbound traffic is limited to what is necessary",
	"1.3.2":  "Outbound traffic is limited to what is necessary",
	"1.4.1":  "Network controls stand between trusted and untrusted networks",
	"1.4.2":  "Traffic from untrusted networks reaches only what is meant to be public",
	"1.4.4":  "Stored cardholder data cannot be reached from untrusted networks",
	"2.2.6":  "Security parameters are set to prevent misuse",
	"3.5.1":  "Stored account numbers are unreadable",
	"3.6.1":  "Keys that protect stored data are themselves protected",
	"3.7.4":  "Keys are changed at the end of their period",
	"4.2.1":  "Strong cryptography protects data on public networks",
	"6.3.3":  "Security patches are installed in time",
	"6.4.2":  "An automated solution stops web attacks",
	"7.2.1":  "An access control model is defined",
	"7.2.5":  "Application and system accounts have the least privileges necessary",
	"8.2.2":  "Shared accounts are an exception",
	"8.3.2":  "Authentication factors are unreadable in transit and at rest",
	"8.6.2":  "No password of a system account is hard-coded",
	"8.6.3":  "Passwords of system accounts are protected against misuse",
	"10.2.1": "Audit logs are on for every component",
	"10.3.1": "Reading audit logs is limited to those who need it",
	"10.3.2": "Audit logs are protected from change",
	"10.3.3": "Audit logs are backed up to a central place",
	"10.5.1": "Audit logs are kept for twelve months, three at hand",
	"10.7.2": "Failures of critical security controls raise alerts",
}

// clauseNotes say where a pass must not be taken for more than it is.
var clauseNotes = map[string]string{
	"10.5.1": "Of the load balancer's access logs only. Every other log is kept for 30 days, as the brief asks, which alone does not meet this clause.",
}

// compareClauses orders requirement numbers part by part: 2.2.6 comes before 10.2.1.
func compareClauses(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		m, errM := strconv.Atoi(x)
		n, errN := strconv.Atoi(y)
		if errM != nil || errN != nil {
			return cmp.Compare(x, y)
		}
		return cmp.Compare(m, n)
	})
}
