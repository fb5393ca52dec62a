package inventory

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"

	"tapstack/lib"
	"tapstack/lib/declared"
)

// In the names of this package {S} stands for the suffix, {account} and {region} for themselves, and * for anything.

// AWSName is a name that AWS makes of the name of something else: Before and After are around that.
type AWSName struct {
	Before string
	Of     *Kind
	After  string
}

// marker is the suffix of the stack that the names are read from. No name has it for another reason.
const (
	marker       = "zsuffixz"
	markerRegion = "zz-marker-1"
)

// program is what the program declares with everything that can be switched on; and once more for what those names exclude,
// with the other protocol of the containers, and without a domain.
var program = sync.OnceValues(func() ([]declared.Resource, error) {
	largest, err := declared.Largest(marker)
	if err != nil {
		return nil, err
	}
	other := largest
	other.ContainerProtocol, other.DomainName, other.HostedZoneID = "HTTP", "", ""
	var all []declared.Resource
	known := map[string]bool{}
	for _, config := range []lib.Config{largest, other} {
		some, err := declared.Resources(config, markerRegion)
		if err != nil {
			return nil, err
		}
		for _, r := range some {
			if !known[r.Name] {
				all = append(all, r)
			}
			known[r.Name] = true
		}
	}
	return all, nil
})

// Names are the names that the stack gives to a kind, in the order of the program, and those that AWS gives.
func (k *Kind) Names() []string { return slices.Concat(k.ProgramNames(), k.NamesByAWS()) }

// NamesByAWS are the names that AWS gives.
func (k *Kind) NamesByAWS() []string {
	var names []string
	for _, made := range k.AWSNames {
		for _, of := range made.Of.Names() {
			names = append(names, made.Before+of+made.After)
		}
	}
	return names
}

// ProgramNames are the names that the program gives, save those that AWS would give as well. Of a hierarchical name with a
// level that is the suffix alone, all below that is the stack's.
func (k *Kind) ProgramNames() []string {
	k.readNames.Do(func() {
		byAWS := k.NamesByAWS()
		all, _ := program() // Find, Leaks and OfStack tell the error
		for _, r := range all {
			name := placeholders.Replace(k.nameOf(r))
			if above, _, deep := strings.Cut(name, "/{S}/"); deep {
				name = above + "/{S}/*"
			}
			alsoAWS := slices.ContainsFunc(byAWS, func(wide string) bool { return matcher(wide, regexp.QuoteMeta("{S}")).MatchString(name) })
			if strings.Contains(name, "{S}") && !alsoAWS && !slices.Contains(k.programNames, name) {
				k.programNames = append(k.programNames, name)
			}
		}
	})
	return k.programNames
}

// nameOf is the name of a declared resource, if it is of the kind and has one.
func (k *Kind) nameOf(r declared.Resource) string {
	if !slices.Contains(k.Types, r.Type) {
		return ""
	}
	return cmp.Or(r.Text(k.NameInput), r.Tag(tagName))
}

var placeholders = strings.NewReplacer(marker, "{S}", markerRegion, "{region}", declared.Account, "{account}")

// NamesIn are the names of a kind in the stack with a suffix.
func (k *Kind) NamesIn(suffix string) []string {
	names := k.Names()
	for i, name := range names {
		names[i] = strings.ReplaceAll(name, "{S}", suffix)
	}
	return names
}

// ARNs are the ARNs of a kind, in a form of IAM's, with the names of the stack in them.
func (k *Kind) ARNs(r IAMResource) []string {
	if !strings.Contains(r.ARN, "{name}") {
		return []string{r.ARN}
	}
	names := cmp.Or(r.NamesOf, k).Names()
	if r.Pattern != "" {
		names = append([]string{r.Pattern}, k.NamesByAWS()...)
	}
	var arns []string
	for _, name := range names {
		arns = append(arns, strings.ReplaceAll(r.ARN, "{name}", name))
	}
	return arns
}

// Ownership is what a name says about whose a resource is.
type Ownership int

const (
	Foreign Ownership = iota // not of this stack
	Unclear                  // ends in the suffix, but is no name that the stack is known to give
	Own
)

// Ownership tells whether a name is one of the stack with a suffix. Names are known by kind, so that two stacks are told
// apart even where one's suffix ends like the other's ("b" and "a-b").
func (k *Kind) Ownership(name, suffix string) Ownership {
	if name == "" || suffix == "" {
		return Foreign
	}
	others := false
	for _, known := range k.Names() {
		if matcher(known, regexp.QuoteMeta(suffix)).MatchString(name) {
			return Own
		}
		others = others || matcher(known, anySuffix).MatchString(name)
	}
	if !others && endsInSuffix(name, suffix) {
		return Unclear
	}
	return Foreign
}

// MayBelong takes an unknown name that ends in the suffix for the stack's own, too.
func (k *Kind) MayBelong(name, suffix string) bool { return k.Ownership(name, suffix) != Foreign }

// endsInSuffix tells whether any part of a hierarchical name ends in -suffix.
func endsInSuffix(name, suffix string) bool {
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == ':' }) {
		if strings.HasSuffix(part, "-"+suffix) {
			return true
		}
	}
	return false
}

// SuffixIn reads the suffix out of a name that the stack is known to give; empty for any other. Of two readings the
// shorter one stands ("payment-jobs-dlq-b" is the dead-letter queue of "b").
func (k *Kind) SuffixIn(name string) string {
	suffix := ""
	for _, known := range k.Names() {
		found := matcher(known, "("+anySuffix+")").FindStringSubmatch(name)
		if found == nil || slices.ContainsFunc(found[1:], func(other string) bool { return other != found[1] }) {
			continue // no such name, or one that names two stacks
		}
		if suffix == "" || len(found[1]) < len(suffix) {
			suffix = found[1]
		}
	}
	return suffix
}

// anySuffix is every suffix that a stack may have.
const anySuffix = `[a-z0-9](?:-?[a-z0-9])*`

var ordinal = regexp.MustCompile(`-[0-9]+-`)

// matchers holds the regular expressions made so far.
var matchers sync.Map

// matcher makes a known name match names with a suffix, whatever the number in them: other versions of the program may
// have had more of a thing.
func matcher(known, suffix string) *regexp.Regexp {
	key := known + " " + suffix
	if made, ok := matchers.Load(key); ok {
		return made.(*regexp.Regexp)
	}
	expression := ordinal.ReplaceAllString(regexp.QuoteMeta(known), "-[0-9]+-")
	expression = strings.NewReplacer(
		`\{S\}`, suffix,
		`\{account\}`, `[0-9]{12}`,
		`\{region\}`, `[a-z]{2,4}(?:-[a-z]+)+-[0-9]`,
		`\*`, `.*`,
	).Replace(expression)
	made := regexp.MustCompile(`^` + expression + `$`)
	matchers.Store(key, made)
	return made
}
