package unit_test

import (
	"cmp"
	"fmt"
	"go/build"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
)

// What the SDK says of its own types: which inputs a resource type has. Where the program declares a resource by its
// token alone, because the generated package is too big to compile, the SDK's source answers.

// knownInputs are the names of all inputs that the resource's type has, set or not.
func (d registration) knownInputs() map[string]bool {
	known := map[string]bool{}
	if d.arguments == nil {
		return known
	}
	if d.arguments.Kind() != reflect.Struct {
		for _, field := range sdkSource().inputs(d.token) {
			known[field.name] = true
		}
		return known
	}
	for i := range d.arguments.NumField() {
		if name := d.arguments.Field(i).Tag.Get("pulumi"); name != "" {
			known[name] = true
		}
	}
	return known
}

// sdkText is the SDK's Go source, as far as it was asked for.
type sdkText struct {
	folder string
	read   func(module, file string) string
}

type sdkField struct{ name, goType string }

// sdkSource finds the source where the compiler found it.
var sdkSource = sync.OnceValue(func() sdkText {
	file, _ := runtime.FuncForPC(reflect.ValueOf(aws.NewProvider).Pointer()).FileLine(reflect.ValueOf(aws.NewProvider).Pointer())
	if !filepath.IsAbs(file) { // built with -trimpath
		file = filepath.Join(cmp.Or(os.Getenv("GOMODCACHE"), filepath.Join(build.Default.GOPATH, "pkg", "mod")), file)
	}
	var mu sync.Mutex
	files := map[string]string{}
	return sdkText{folder: filepath.Dir(file), read: func(module, name string) string {
		mu.Lock()
		defer mu.Unlock()
		path := filepath.Join(filepath.Dir(file), module, name)
		text, known := files[path]
		if !known {
			raw, err := os.ReadFile(path)
			if err == nil {
				text = string(raw)
			}
			files[path] = text
		}
		return text
	}}
})

// inputs reads the inputs of a type such as aws:wafv2/webAcl:WebAcl.
func (s sdkText) inputs(token string) []sdkField {
	module, file, ok := tokenPlace(token)
	if !ok {
		return nil
	}
	return fieldsOf(s.read(module, file+".go"), file+"Args")
}

// nested reads the fields of a type that inputs of a module are made of.
func (s sdkText) nested(module, goType string) []sdkField {
	for _, file := range []string{"pulumiTypes.go", "pulumiTypes1.go"} {
		if fields := fieldsOf(s.read(module, file), goType); fields != nil {
			return fields
		}
	}
	return nil
}

func tokenPlace(token string) (module, file string, ok bool) {
	_, place, _ := strings.Cut(token, ":")
	place, _, _ = strings.Cut(place, ":")
	return strings.Cut(place, "/")
}

var fieldPattern = regexp.MustCompile("(?m)^\t\\w+ +(\\S+) +`pulumi:\"(\\w+)\"`$")

// fieldsOf finds a struct in Go source and lists its fields by their Pulumi names.
func fieldsOf(source, goType string) []sdkField {
	_, body, found := strings.Cut(source, "\ntype "+goType+" struct {\n")
	if !found {
		return nil
	}
	body, _, _ = strings.Cut(body, "\n}\n")
	fields := []sdkField{}
	for _, match := range fieldPattern.FindAllStringSubmatch(body, -1) {
		fields = append(fields, sdkField{match[2], match[1]})
	}
	return fields
}

// inputsConform holds what was declared by token to the SDK's types, as the compiler does for the rest.
func inputsConform(r *recording, faults *faults) {
	for _, d := range r.sorted() {
		if d.arguments == nil || d.arguments.Kind() == reflect.Struct {
			continue
		}
		module, _, _ := tokenPlace(d.token)
		fields := sdkSource().inputs(d.token)
		if len(fields) == 0 {
			faults.add("%s: the SDK in %s does not know %s", d.name, sdkSource().folder, d.token)
			continue
		}
		conform(module, d.name, d.plain, fields, faults)
	}
}

// conform compares one object with the fields of its Go type.
func conform(module, path string, object map[string]any, fields []sdkField, faults *faults) {
	known := map[string]bool{}
	for _, field := range fields {
		known[field.name] = true
		value, set := object[field.name]
		optional := strings.HasPrefix(field.goType, "*") || strings.HasPrefix(field.goType, "[]") || strings.HasPrefix(field.goType, "map[")
		faults.when(!set && !optional, "%s.%s is required", path, field.name)
		if set {
			conformValue(module, path+"."+field.name, value, strings.TrimPrefix(field.goType, "*"), faults)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		faults.when(!known[name], "%s.%s is not an input that the SDK knows", path, name)
	}
}

func conformValue(module, path string, value any, goType string, faults *faults) {
	fits := false
	element, isList := strings.CutPrefix(goType, "[]")
	switch {
	case isList:
		var list []any
		list, fits = value.([]any)
		for i, item := range list {
			conformValue(module, fmt.Sprintf("%s[%d]", path, i), item, element, faults)
		}
	case goType == "string" || goType == "bool":
		fits = reflect.TypeOf(value).String() == goType
	case goType == "int" || goType == "float64":
		_, fits = value.(float64)
	case goType == "map[string]string":
		var object map[string]any
		object, fits = value.(map[string]any)
		for key, item := range object {
			conformValue(module, path+"."+key, item, "string", faults)
		}
	default:
		var object map[string]any
		if object, fits = value.(map[string]any); fits {
			fields := sdkSource().nested(module, goType)
			faults.when(fields == nil, "%s: the SDK has no type %s", path, goType)
			conform(module, path, object, fields, faults)
		}
	}
	faults.when(!fits, "%s is %T, the SDK wants %s", path, value, goType)
}
