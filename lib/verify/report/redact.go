package report

import (
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// removed stands where a secret was.
const removed = "[redacted]"

// secretName is what the name of a field that holds a secret contains.
const secretName = `[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w.-]*` //nolint:gosec // names, no values

// secrets are the shapes of what must never be in a report, each with what takes its place. Rather too much is taken
// out than too little.
var secrets = []struct {
	name  string
	shape *regexp.Regexp
	with  string
}{
	{"PEM block", regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|$)`), removed},
	{"password in a URL", regexp.MustCompile(`(://[^\s/?#:@"']*:)[^\s"']+@`), "${1}" + removed + "@"},
	{"field of a JSON object", regexp.MustCompile(`(?i)("` + secretName + `"\s*:\s*)"(?:[^"\\]|\\.)*"?`), `${1}"` + removed + `"`},
	{"field of a JSON object in a string", regexp.MustCompile(`(?i)(\\"` + secretName + `\\"\s*:\s*)\\"[^"]*"?`), `${1}\"` + removed + `\"`},
	{"setting", regexp.MustCompile(`(?i)\b(` + secretName + `\s*=\s*)(?:"[^"]*"?|'[^']*'?|[^\s;&"']+)`), "${1}" + removed},
	{"authorization", regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{16,}`), "${1} " + removed},
	{"AWS access key id", regexp.MustCompile(`\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b`), removed},
	{"AWS session token", regexp.MustCompile(`\b(?:FwoG|FQoG|IQoJ)[A-Za-z0-9/+=]{60,}`), removed},
	{"JSON web token", regexp.MustCompile(`\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*`), removed},
	{"token of a known service", regexp.MustCompile(`\b(?:gh[pousr]_|github_pat_|xox[abprs]-|[sr]k_(?:live|test)_)[\w-]{10,}`), removed},
}

// run matches characters of which an AWS secret access key, 40 of them, consists.
var run = regexp.MustCompile(`[A-Za-z0-9/+]+`)

// awsSecretLength is the length of an AWS secret access key, in characters.
const awsSecretLength = 40

// redact takes secrets out of a text, and what no format may carry: control characters and broken UTF-8.
func redact(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.Is(unicode.Cc, r) || r == '\uFFFE' || r == '\uFFFF' {
			return '\uFFFD'
		}
		return r
	}, text)
	for _, s := range secrets {
		text = s.shape.ReplaceAllString(text, s.with)
	}
	return run.ReplaceAllStringFunc(text, func(found string) string {
		if looksRandom(found) {
			return removed
		}
		return found
	})
}

// looksRandom tells a bare AWS secret access key from a digest or a path of the same length.
func looksRandom(text string) bool {
	return len(text) == awsSecretLength &&
		strings.ContainsFunc(text, unicode.IsUpper) && strings.ContainsFunc(text, unicode.IsLower) && strings.ContainsFunc(text, unicode.IsDigit)
}

// redacted is a copy of the document with every text of it redacted, whatever field it is in.
func redacted(doc document) document {
	return redactedValue(reflect.ValueOf(doc)).Interface().(document)
}

func redactedValue(v reflect.Value) reflect.Value {
	clean := reflect.New(v.Type()).Elem()
	clean.Set(v)
	switch {
	case v.Kind() == reflect.String:
		clean.SetString(redact(v.String()))
	case v.Kind() == reflect.Slice && !v.IsNil():
		clean.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			clean.Index(i).Set(redactedValue(v.Index(i)))
		}
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			clean.Field(i).Set(redactedValue(v.Field(i)))
		}
	}
	return clean
}
