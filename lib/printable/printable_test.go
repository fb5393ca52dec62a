package printable_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"

	"tapstack/lib/printable"
)

func TestTextIsOneLineOfPrintableCharacters(t *testing.T) {
	for given, want := range map[string]string{
		"arn:aws:sqs:us-east-1:1:jobs ü 金": "arn:aws:sqs:us-east-1:1:jobs ü 金",
		"x\nFine: nothing left":            `x\nFine: nothing left`,
		"\x1b[2J\x1b]0;title\a":            `\x1b[2J\x1b]0;title\a`,
		"abc\r\tdef\u202egnp\u2028":        `abc\r\tdef\u202egnp\u2028`,
		"\xff'":                            `\xff'`,
		"\u0085\x9b31m":                    `\u0085\x9b31m`,
	} {
		assert.Equal(t, want, printable.Text(given))
	}
}

func TestAWriterLetsNeitherEscapesNorCommandsThrough(t *testing.T) {
	for name, c := range map[string]struct {
		colours bool
		given   []string
		want    string
	}{
		"text":                 {false, []string{"one\n\ttwo\n"}, "one\n\ttwo\n"},
		"commands":             {false, []string{"::error::x\n  ::stop-commands::y\nz ::notice::\na ##[group]"}, "\\x3a:error::x\n  \\x3a:stop-commands::y\nz ::notice::\na \\x23#[group]"},
		"in pieces":            {false, []string{"left  ", "::error::x", "\n", " ", "::add-mask::y\n"}, "left  ::error::x\n \\x3a:add-mask::y\n"},
		"colours":              {true, []string{"\x1b[31mfailed\x1b[0m x\x1b[2Jy\x1b[8mz\n"}, "\x1b[31mfailed\x1b[0m x\\x1b[2Jy\\x1b[8mz\n"},
		"a command in colours": {true, []string{"\x1b[31m::error::\x1b[0m\n"}, "\x1b[31m\\x3a:error::\x1b[0m\n"},
		"no colours":           {false, []string{"\x1b[31mx\x1b[0m"}, `\x1b[31mx\x1b[0m`},
	} {
		var out bytes.Buffer
		w := &printable.Writer{Out: &out, Colours: c.colours}
		for _, text := range c.given {
			n, err := io.WriteString(w, text)
			assert.NoError(t, err, name)
			assert.Equal(t, len(text), n, name)
		}
		assert.Equal(t, c.want, out.String(), name)
	}
}
