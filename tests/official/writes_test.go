package official

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/aws/smithy-go/encoding/cbor"

	"tapstack/tests/official/bridge"
)

// writes are the operations that change anything, and the values that each of their parameters was given.
type writes map[string]map[string][]string

// recorder notes them on their way to the emulator.
type recorder struct {
	mutex  sync.Mutex
	writes writes
}

func (r *recorder) see(request *http.Request, body []byte) {
	name := bridge.Operation(request, body)
	if bridge.Reads(name) {
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.writes[name] == nil {
		r.writes[name] = map[string][]string{}
	}
	for path, values := range parameters(request, body) {
		if !unique.MatchString(path) {
			r.writes[name][path] = slices.Compact(slices.Sorted(slices.Values(append(r.writes[name][path], values...))))
		}
	}
}

// taken hands out what was noted and begins anew.
func (r *recorder) taken() writes {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	noted := r.writes
	r.writes = writes{}
	return noted
}

var (
	// unique are parameters of the protocol, and those that make a request one of a kind.
	// Secrets are not looked at, and the certificate is made anew each time.
	unique = regexp.MustCompile(`(?i)^(Action|Version|(Client|ClientRequest|Idempotency|Lock)Token|MasterUserPassword|SecretString|PrivateKey|Certificate)$`)
	// positions in lists, and the names that protocols give to their elements.
	positions = regexp.MustCompile(`\.(\d+|member|entry|item)\b`)
)

// parameters are the values of a request by their paths, without positions in lists.
func parameters(r *http.Request, body []byte) map[string][]string {
	found := map[string][]string{}
	if _, _, ok := strings.Cut(r.URL.Path, "/operation/"); ok {
		if v, err := cbor.Decode(body); err == nil {
			flatten(found, "", fromCBOR(v))
		}
		return found
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		for name, values := range form {
			for _, value := range values {
				flatten(found, positions.ReplaceAllString(name, ""), value)
			}
		}
		return found
	}
	var document any
	var element element
	switch {
	case json.Unmarshal(body, &document) == nil:
		flatten(found, "", document)
	case xml.Unmarshal(body, &element) == nil:
		element.flatten(found, "")
	}
	return found
}

// flatten notes the scalars inside a value.
func flatten(found map[string][]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(found, strings.TrimPrefix(path+"."+name, "."), inner)
		}
	case []any:
		for _, inner := range v {
			flatten(found, path, inner)
		}
	case nil:
	case string:
		if plain(v) != nil {
			text, _ := json.Marshal(plain(v))
			found[path] = append(found[path], strings.Trim(string(text), `"`))
		}
	default:
		found[path] = append(found[path], fmt.Sprint(v))
	}
}

func fromCBOR(v cbor.Value) any {
	switch v := v.(type) {
	case cbor.Map:
		m := map[string]any{}
		for name, inner := range v {
			m[name] = fromCBOR(inner)
		}
		return m
	case cbor.List:
		list := make([]any, len(v))
		for i, inner := range v {
			list[i] = fromCBOR(inner)
		}
		return list
	}
	return fmt.Sprint(v)
}

// element is one of an XML document.
type element struct {
	XMLName xml.Name
	Text    string    `xml:",chardata"`
	Inner   []element `xml:",any"`
}

func (e element) flatten(found map[string][]string, path string) {
	if len(e.Inner) == 0 {
		flatten(found, path, strings.TrimSpace(e.Text))
	}
	for _, inner := range e.Inner {
		inner.flatten(found, strings.TrimPrefix(path+"."+inner.XMLName.Local, "."))
	}
}
