package workflows

import "strings"

// Call is a call of tap in a script. Variables stand in the arguments as they stand in the script.
type Call struct {
	Where string
	Args  []string
}

const tap = ".build/tap"

// Calls are all calls of tap in the workflows.
func (s *Set) Calls() []Call {
	var calls []Call
	for _, script := range s.Scripts() {
		for _, words := range commandsOf(script.Text) {
			if len(words) > 1 && words[0] == tap {
				calls = append(calls, Call{script.Where, words[1:]})
			}
		}
	}
	return calls
}

// commandsOf takes a script apart into simple commands and those into words, without their quotes. It knows what the
// project's scripts use: quotes, continued lines, pipes and lists.
func commandsOf(script string) [][]string {
	var commands [][]string
	var words []string
	word, open, quote := "", false, rune(0)
	endWord := func() {
		if open {
			words, word, open = append(words, word), "", false
		}
	}
	endCommand := func() {
		endWord()
		if len(words) > 0 {
			commands, words = append(commands, words), nil
		}
	}
	for _, r := range strings.ReplaceAll(script, "\\\n", " ") {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, open = r, true
		case quote != 0 || !strings.ContainsRune(" \t\n|;&", r):
			word, open = word+string(r), true
		case r == ' ' || r == '\t':
			endWord()
		default:
			endCommand()
		}
	}
	endCommand()
	return commands
}
