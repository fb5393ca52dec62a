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
	"1.2.1":   "Rule sets of network controls are defined and kept",
	"1.2.5":   "Every service, protocol and port that is allowed is known and needed",
	"1.2.7":   "Rule sets of network controls are reviewed",
	"1.2.8":   "Configuration of network controls is secured and kept consistent",
	"1.3.1":   "Inbound traffic is limited to what is necessary",
	"1.3.2":   "Outbound traffic is limited to what is necessary",
	"1.4.1":   "Network controls stand between trusted and untrusted networks",
	"1.4.2":   "Traffic from untrusted networks reaches only what is meant to be public",
	"1.4.3":   "Forged source addresses are kept out",
	"1.4.4":   "Stored cardholder data cannot be reached from untrusted networks",
	"1.4.5":   "Internal addresses and routes are not disclosed",
	"2.2.1":   "Configuration standards are in place for every component",
	"2.2.2":   "Vendor default accounts are managed",
	"2.2.4":   "Only necessary services and functions are enabled",
	"2.2.5":   "Insecure services are justified and mitigated",
	"2.2.6":   "Security parameters are set to prevent misuse",
	"2.2.7":   "Administrative access is encrypted",
	"3.2.1":   "Stored account data is kept to a minimum",
	"3.5.1":   "Stored account numbers are unreadable",
	"3.6.1":   "Keys that protect stored data are themselves protected",
	"3.7.1":   "Keys are strong",
	"3.7.2":   "Keys are distributed securely",
	"3.7.3":   "Keys are stored securely",
	"3.7.4":   "Keys are changed at the end of their period",
	"4.2.1":   "Strong cryptography protects data on public networks",
	"6.3.3":   "Security patches are installed in time",
	"6.4.1":   "Public web applications are protected from attacks",
	"6.4.2":   "An automated solution stops web attacks",
	"6.5.3":   "Production is separated from other environments",
	"7.2.1":   "An access control model is defined",
	"7.2.2":   "Access is granted by job and least privilege",
	"7.2.5":   "Application and system accounts have the least privileges necessary",
	"7.2.6":   "Access to stored cardholder data is restricted",
	"7.3.1":   "An access control system covers all components",
	"7.3.2":   "The access control system enforces permissions",
	"7.3.3":   "Access is denied unless allowed",
	"8.3.1":   "Every access is authenticated",
	"8.3.2":   "Authentication factors are unreadable in transit and at rest",
	"8.3.6":   "Passwords are long and complex enough",
	"8.6.1":   "Interactive use of system accounts is controlled",
	"8.6.2":   "No password of a system account is hard-coded",
	"8.6.3":   "Passwords of system accounts are protected against misuse",
	"10.2.1":  "Audit logs are on for every component",
	"10.2.2":  "Audit logs record the details of each event",
	"10.3.1":  "Reading audit logs is limited to those who need it",
	"10.3.2":  "Audit logs are protected from change",
	"10.3.3":  "Audit logs are backed up to a central place",
	"10.3.4":  "Changes to audit logs raise an alert",
	"10.4.1":  "Audit logs are reviewed",
	"10.5.1":  "Audit logs are kept for twelve months, three at hand",
	"10.7.1":  "Failures of security controls are detected",
	"10.7.2":  "Failures of critical security controls raise alerts",
	"10.7.3":  "Failures of critical security controls are responded to",
	"11.4.5":  "Segmentation is tested",
	"11.5.1":  "Intrusions are detected",
	"11.5.2":  "Changes of critical files are detected",
	"12.10.1": "A plan for incidents is in place",
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
