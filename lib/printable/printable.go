// Package printable makes foreign text safe to show. What a cloud, an emulator or a plugin says may hold line breaks that
// forge a line of ours, escape sequences that steer a terminal, marks that turn the direction of writing, and commands that a
// CI system takes out of its log.
package printable

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is a foreign text on one line: whatever is not printable, line breaks included, is shown the way Go writes it.
func Text(s string) string { return escape(s, unicode.IsPrint) }

func escape(s string, keep func(rune) bool) string {
	clean := utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !keep(r) }) < 0
	if clean {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[0]), 16))
		case keep(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		s = s[size:]
	}
	return b.String()
}

// Writer passes lines on to a terminal or a log. It lets nothing through but text, line breaks and tabulators, and, where
// Colours says so, the colours that this project's own lines have.
type Writer struct {
	Out     io.Writer
	Colours bool

	within bool // a line that has begun
}

var (
	colour = regexp.MustCompile("\x1b\\[(0|3[1-6])m")
	// command is what GitHub's runner obeys: at the beginning of a line in its present form, anywhere in its older one. See
	// https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
	command = regexp.MustCompile(`(?m)^[ \t]*::|##\[`)
)

// Write writes a text of whole runes.
func (w *Writer) Write(p []byte) (int, error) {
	var b strings.Builder
	rest := string(p)
	for w.Colours {
		at := colour.FindStringIndex(rest)
		if at == nil {
			break
		}
		b.WriteString(w.lines(rest[:at[0]]))
		b.WriteString(rest[at[0]:at[1]])
		rest = rest[at[1]:]
	}
	b.WriteString(w.lines(rest))
	if _, err := io.WriteString(w.Out, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *Writer) lines(s string) string {
	if s == "" {
		return s
	}
	s = escape(s, func(r rune) bool { return r == '\n' || r == '\t' || unicode.IsPrint(r) })
	begun := ""
	if w.within {
		begun = "."
	}
	s = command.ReplaceAllStringFunc(begun+s, func(found string) string {
		first := strings.IndexAny(found, ":#")
		return found[:first] + fmt.Sprintf(`\x%x`, found[first]) + found[first+1:]
	})[len(begun):]
	last := s[strings.LastIndexByte(s, '\n')+1:]
	w.within = strings.TrimLeft(last, " \t") != "" || w.within && !strings.Contains(s, "\n")
	return s
}
