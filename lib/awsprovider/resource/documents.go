package resource

import (
	"encoding/json"
	"reflect"

	awspolicy "github.com/hashicorp/awspolicyequivalence"
)

// SameJSON tells whether two texts are the same, or write the same JSON document.
func SameJSON(a, b string) bool {
	var x, y any
	return a == b || json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// SamePolicy tells whether two IAM policies mean the same, as the official provider judges it: neither the order of
// statements and lists has a meaning, nor whether one value stands in a list, nor how an account is named.
func SamePolicy(a, b string) bool {
	if a == b {
		return true
	}
	same, err := awspolicy.PoliciesAreEquivalent(a, b)
	return err == nil && same
}

// JSON writes a document of maps, lists and scalars, which always can be written.
func JSON(document any) string {
	text, err := json.Marshal(document)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// DenyWithoutTLS is an example's policy: it denies an action on a resource to everyone who comes without TLS.
func DenyWithoutTLS(action string, arns ...string) string {
	return JSON(map[string]any{
		"Version": "2012-10-17",
		"Statement": []map[string]any{{
			"Sid": "DenyInsecureTransport", "Effect": "Deny", "Principal": "*", "Action": action, "Resource": arns,
			"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
		}},
	})
}
