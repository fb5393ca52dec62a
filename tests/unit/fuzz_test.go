package unit_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

// namesOf reads the names of a stack with everything once.
func namesOf(f *testing.F) names {
	f.Helper()
	found, rules := names{"qqqq", map[string]string{}}, nameRules()
	for _, d := range deploy(f, map[string]string{lib.ConfigEnvironmentSuffix: found.suffix, "interfaceEndpoints": "true"}).sorted() {
		if rule, named := rules[d.token]; named {
			found.tokens[d.plain[rule.input].(string)] = d.token
		}
	}
	require.Greater(f, len(found.tokens), 50)
	return found
}

// FuzzEnvironmentSuffix holds every suffix that is accepted to the names that it leads to, and every refusal to its key.
func FuzzEnvironmentSuffix(f *testing.F) {
	stack := namesOf(f)
	for _, seed := range slices.Concat(illegalValues()[lib.ConfigEnvironmentSuffix], []string{
		"dev", "7", "pr-123", "a-b-c-d-e-f-g-h", "zzzzzzzzzzzzzzz", " dev ", "", "s3alias", "as3alias", "x-s3alias", "\x00", "\u00a0dev", "dev\n", "DEV", "１",
	}) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, suffix string) {
		cfg, err := lib.ParseConfig(with(lib.ConfigEnvironmentSuffix, suffix))
		assert.Equal(t, fmt.Sprint(err), fmt.Sprint(lib.ValidateSuffix(suffix)), "the suffix alone is judged otherwise")
		if err != nil {
			assert.Equal(t, []string{lib.ConfigEnvironmentSuffix}, faultyKeys(err))
			assert.True(t, printable(err.Error()), "%q", err)
			return
		}
		assert.Equal(t, suffix, cfg.EnvironmentSuffix)
		assert.Empty(t, stack.illegal(suffix), "an accepted suffix leads to illegal names")
	})
}

// FuzzParseConfig reads lines of key=value over the least configuration. What is accepted is legal, printable and the
// same when written down and read again; what is refused names keys that were given or are required.
func FuzzParseConfig(f *testing.F) {
	stack := namesOf(f)
	for _, key := range slices.Sorted(maps.Keys(illegalValues())) {
		f.Add(key + "=" + illegalValues()[key][0])
	}
	for _, settings := range variants() {
		f.Add(lines(settings))
	}
	for _, seed := range []string{
		"", "=", "surprise", "surprise=1\nsurprise=2", "apiCpu=256\napiMemory=512", "apiDesiredCount=500\napiMaxCount=500", "apiCpu=+1024", "apiRetryCount=0x10",
		"availabilityZones=,,", "availabilityZones= us-east-1a , us-east-1b,us-east-1c", "vpcCidr=10.0.0.0/016", "vpcCidr=::ffff:10.0.0.0/112", "dbName=user",
		"alertEmail=\"a b\"@example.com", "alertEmail=ü@example.com", "alertEmail=(comment)ops@example.com", "alertEmail=" + strings.Repeat("a", 65) + "@example.com",
		"domainName=" + strings.Repeat("a.", 40) + "com\nhostedZoneId=Z1", "paymentApiImage=a:1@sha256:" + strings.Repeat("0", 64), "\x1b[31m=1", "environmentSuffix=\u202edev",
	} {
		f.Add(seed)
	}
	known := map[string]bool{}
	for _, key := range lib.ConfigKeys() {
		known[key.Name] = true
	}
	f.Fuzz(func(t *testing.T, text string) {
		values := legalValues(nil)
		for _, line := range strings.Split(text, "\n") {
			key, value, _ := strings.Cut(line, "=")
			values[key] = value
		}
		if _, empty := values[""]; empty && text == "" {
			delete(values, "")
		}
		cfg, err := lib.ParseConfig(values)
		if err != nil {
			assert.True(t, printable(err.Error()), "%q", err)
			for _, line := range strings.Split(err.Error(), "\n") {
				refusedClearly(t, line, values, known)
			}
			return
		}
		assert.Empty(t, stack.illegal(cfg.EnvironmentSuffix), "an accepted configuration leads to illegal names")
		again, err := lib.ParseConfig(cfg.Values())
		require.NoError(t, err, "accepted, but not when it is written down and read again")
		assert.Equal(t, cfg, again)
		for key, value := range cfg.Values() {
			assert.NotRegexp(t, `[^ -~]`, value, "%s: AWS takes printable ASCII", key)
		}
	})
}

// refusedClearly wants a fault to begin with the key or keys that it is about: known ones, or one that was given,
// escaped where it cannot be printed.
func refusedClearly(t *testing.T, fault string, values map[string]string, known map[string]bool) {
	t.Helper()
	for key := range values {
		if !known[key] && (strings.HasPrefix(fault, key+": not a configuration key") || strings.HasPrefix(fault, strings.Trim(strconv.Quote(key), `"`)+": not a configuration key")) {
			return
		}
	}
	named, reason, _ := strings.Cut(fault, ": ")
	for _, key := range strings.Split(named, ", ") {
		require.True(t, known[key] && reason != "", "a fault names no key: %q", fault)
	}
}

// printable says whether a terminal shows a text as it is, line ends apart.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c != '\n' && !unicode.IsPrint(c) })
}

func lines(values map[string]string) string {
	var text []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		text = append(text, key+"="+values[key])
	}
	return strings.Join(text, "\n")
}
