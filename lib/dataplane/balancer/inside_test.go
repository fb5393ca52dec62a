package balancer

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestAWildcardMatchesWhatTheSameRegularExpressionDoes(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("ab/*?.\\")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		pattern, subject, escapes := text.Draw(t, "pattern"), text.Draw(t, "text"), rapid.Bool().Draw(t, "escapes")
		var same strings.Builder
		for i := 0; i < len(pattern); i++ {
			switch c := pattern[i]; {
			case escapes && c == '\\' && i+1 < len(pattern):
				i++
				same.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
			case c == '*':
				same.WriteString(".*")
			case c == '?':
				same.WriteString(".")
			default:
				same.WriteString(regexp.QuoteMeta(string(c)))
			}
		}
		expected := regexp.MustCompile("^(?s:" + same.String() + ")$").MatchString(subject)
		assert.Equal(t, expected, wildcard(pattern, subject, escapes), "%q %q", pattern, subject)
	})
}

func TestATargetThatLeavesWhileItIsPickedIsNotTaken(t *testing.T) {
	g := newGroup(New(Options{}), "arn")
	leaving := &target{group: g, idle: make(chan struct{}, 1)}
	leaving.leaving.Store(true)
	g.eligible.Store(&[]*target{leaving})
	go g.eligible.Store(&[]*target{})
	assert.Nil(t, g.pick(nil))
	assert.Zero(t, leaving.inFlight.Load())
}
