package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ErrNoStack says that the stack was never deployed, or is destroyed.
var ErrNoStack = errors.New("does not exist")

// ErrInterrupted is the cause of a context that an interrupt ended.
var ErrInterrupted = errors.New("interrupted")

// Failure is one thing that went wrong in an operation.
type Failure struct {
	Type    string // of the resource, empty when it is about none
	Name    string
	Message string
}

func (f Failure) String() string {
	if f.Name == "" || f.Type == stackType {
		return f.Message
	}
	return fmt.Sprintf("%s %s: %s", f.Type, f.Name, f.Message)
}

// stopped says that the failure is nothing but the interrupt itself.
func (f Failure) stopped() bool {
	return vagueMessage.MatchString(f.Message) || strings.Contains(f.Message, context.Canceled.Error())
}

// OperationError tells why an operation of the engine did not succeed, in the lines that matter.
type OperationError struct {
	Operation   string // preview, up, refresh, destroy
	Stack       string
	Failures    []Failure
	Interrupted bool
	// Cause is what ended it, where that was neither the engine nor an interrupt: a full disk, or whoever ended the context.
	Cause error
	// Next is what to do about it, when that is known.
	Next string
}

func (e *OperationError) Error() string {
	outcome, separator := "failed", "\n  "
	if e.Interrupted {
		outcome = "was interrupted"
	}
	if len(e.Failures) == 1 {
		separator = ": "
	}
	text := fmt.Sprintf("%s of stack %s %s", e.Operation, e.Stack, outcome)
	for _, failure := range e.Failures {
		text += separator + failure.String()
	}
	if e.Next != "" {
		text += "\n" + e.Next
	}
	return text
}

// Unwrap lets errors.Is see what ended it.
func (e *OperationError) Unwrap() error {
	if e.Interrupted {
		return ErrInterrupted
	}
	return e.Cause
}

// asked says that a context was ended by whoever asked for the operation.
func asked(cause error) bool {
	return errors.Is(cause, ErrInterrupted) || errors.Is(cause, context.Canceled)
}

const stackType = "pulumi:pulumi:Stack"

// knownFaults explain what the CLI says before the engine has started.
var knownFaults = []struct {
	says          string
	message, next string
	// quoted adds what the CLI says from there on.
	quoted bool
}{
	{
		"secrets (code=",
		"the KMS key of the secrets cannot be used",
		"Correct --secrets-provider. The credentials need kms:Encrypt and kms:Decrypt on that key, which must be enabled.",
		true,
	},
	{
		"incorrect passphrase",
		"the state cannot be decrypted with this passphrase",
		"Set PULUMI_CONFIG_PASSPHRASE to the passphrase that the stack was created with.",
		false,
	},
	{
		"passphrase must be set",
		"the state is encrypted with a passphrase that is not known here",
		"Set PULUMI_CONFIG_PASSPHRASE to the passphrase that the stack was created with.",
		false,
	},
	{
		"could not automatically download and install resource plugin",
		"a provider plugin is missing and could not be downloaded",
		"Check the network, or run on the local target with --provider local.",
		false,
	},
}

// reduce keeps the failures that tell something: each once, and none of the engine's own remarks that an update
// failed when there is a better one.
func reduce(failures []Failure) []Failure {
	var kept, vague []Failure
	for _, failure := range failures {
		switch {
		case slices.Contains(kept, failure):
		case vagueMessage.MatchString(failure.Message):
			vague = append(vague, failure)
		default:
			kept = append(kept, failure)
		}
	}
	if len(kept) == 0 {
		return vague[:min(1, len(vague))]
	}
	return kept
}

// fromStderr is the failure of a CLI that ended before its engine had anything to say.
func fromStderr(stderr string) (Failure, string) {
	for _, fault := range knownFaults {
		_, said, found := strings.Cut(stderr, fault.says)
		switch {
		case found && fault.quoted:
			return Failure{Message: fault.message + ": " + tidy(fault.says+plain(said))}, fault.next
		case found:
			return Failure{Message: fault.message}, fault.next
		}
	}
	message := strings.TrimPrefix(lastLines(plain(stderr), 3), "error: ")
	if message == "" {
		message = "the Pulumi engine ended without a message"
	}
	return Failure{Message: message}, ""
}

var (
	colourTag    = regexp.MustCompile(`<\{%[^%]*%\}>|\x1b\[[0-9;]*m`)
	vagueMessage = regexp.MustCompile(`^(update|preview|destroy|refresh|operation|resource [a-z]+) (failed|canceled)$|^$`)
	// boilerplate is what the AWS SDK, gRPC and the engine wrap around a message.
	boilerplate = regexp.MustCompile(`https response error StatusCode: \d+, RequestID: [^,]*, (HostID: [^,]*, )?|` +
		`rpc error: code = \w+ desc = |\d+ errors? occurred:\s*\* |` +
		`an unhandled error occurred:\s*(program failed:\s*)?(waiting for RPCs: )?|resource registration error: `)
	spaces = regexp.MustCompile(`\s*\n\s*(\* )?`)
)

func plain(message string) string { return strings.TrimSpace(colourTag.ReplaceAllString(message, "")) }

func tidy(message string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(boilerplate.ReplaceAllString(message, ""), "; "))
}

const masked = "[secret]"

// secretShapes are what secrets look like when an error message quotes them.
var secretShapes = []*regexp.Regexp{
	regexp.MustCompile(`(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|$)`),
	regexp.MustCompile(`(?i)(://[^:/?#\s]+:)[^@\s]+(@)`),
	regexp.MustCompile(`(?i)((?:password|passphrase|secretstring|secret_access_key|apikey|api_key|token)\\?["']?\s*[:=]\s*\\?["']?)[^\s"',;}\\]+()`),
}

// masker hides the given values, and whatever looks like a secret.
func masker(values ...string) func(string) string {
	return func(message string) string {
		for _, value := range values {
			if len(value) >= 8 {
				message = strings.ReplaceAll(message, value, masked)
			}
		}
		for _, shape := range secretShapes {
			message = shape.ReplaceAllString(message, "${1}"+masked+"${2}")
		}
		return message
	}
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
