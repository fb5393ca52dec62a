package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

// sdkNames is how the pulumi-aws SDK names what the local provider serves. tools/officialprovider reads it as JSON.
type sdkNames struct {
	Resources, Functions map[string]entity
	Types                map[string]map[string]property
	Config               map[string]property
}

type entity struct{ Properties map[string]property }

type property struct {
	List bool
	Type string
}

// readSDK takes the names from the source of the SDK in the module cache: its structs carry them as tags.
func readSDK(ctx context.Context, served schema.PackageSpec) (sdkNames, error) {
	names := sdkNames{Resources: map[string]entity{}, Functions: map[string]entity{}, Types: map[string]map[string]property{}}
	listed, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi-aws/sdk/v6").Output()
	if err != nil {
		return names, fmt.Errorf("finding the source of the pulumi-aws SDK: %w", err)
	}
	r := reader{root: filepath.Join(strings.TrimSpace(string(listed)), "go", "aws"), types: names.Types, modules: map[string]structs{}}
	for tok := range served.Resources {
		module, name := modulePart(tok)
		names.Resources[tok] = entity{r.properties(module, lowerFirst(name)+"State")}
	}
	for tok := range served.Functions {
		module, name := modulePart(tok)
		function := upperFirst(name)
		if r.module(module)[function+"Result"] == nil { // a resource has the name
			function = "Lookup" + strings.TrimPrefix(function, "Get")
		}
		properties := r.properties(module, function+"Result")
		for name, p := range r.optional(module, function+"Args") {
			properties[name] = p
		}
		names.Functions[tok] = entity{properties}
	}
	names.Config = r.properties("", "providerArgs")
	return names, r.err
}

// modulePart splits "aws:ec2/vpc:Vpc" into "ec2" and "Vpc".
func modulePart(tok string) (module, name string) {
	parts := strings.Split(tok, ":")
	module, _, _ = strings.Cut(parts[1], "/")
	if module == "index" {
		module = ""
	}
	return module, parts[2]
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

type structs map[string]*ast.StructType

// reader reads structs of the SDK, a folder at a time.
type reader struct {
	root    string
	types   map[string]map[string]property
	modules map[string]structs
	err     error
}

func (r *reader) properties(module, name string) map[string]property {
	properties := r.optional(module, name)
	if properties == nil && r.err == nil {
		r.err = fmt.Errorf("the SDK's module %q has no struct %s", module, name)
	}
	return properties
}

// optional is what a struct names, or nil where there is none. The types that it names are added to the reader's.
func (r *reader) optional(module, name string) map[string]property {
	declared, ok := r.module(module)[name]
	if !ok {
		return nil
	}
	properties := map[string]property{}
	for _, field := range declared.Fields.List {
		if field.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			continue
		}
		if name := reflect.StructTag(tag).Get("pulumi"); name != "" {
			properties[name] = r.property(module, field.Type)
		}
	}
	return properties
}

func (r *reader) property(module string, e ast.Expr) property {
	switch e := e.(type) {
	case *ast.StarExpr:
		return r.property(module, e.X)
	case *ast.ArrayType:
		return property{List: true, Type: r.property(module, e.Elt).Type}
	case *ast.MapType:
		return property{Type: r.property(module, e.Value).Type}
	case *ast.Ident:
		if _, ok := r.module(module)[e.Name]; !ok {
			return property{}
		}
		key := module + "/" + e.Name
		if _, seen := r.types[key]; !seen {
			r.types[key] = nil
			r.types[key] = r.optional(module, e.Name)
		}
		return property{Type: key}
	}
	return property{}
}

// module is every struct of one folder of the SDK.
func (r *reader) module(name string) structs {
	if known, ok := r.modules[name]; ok {
		return known
	}
	found := structs{}
	r.modules[name] = found
	files, err := filepath.Glob(filepath.Join(r.root, name, "*.go"))
	if err != nil || len(files) == 0 {
		r.err = fmt.Errorf("the SDK has no module %q: %w", name, err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			r.err = err
			continue
		}
		for _, d := range file.Decls {
			general, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range general.Specs {
				if t, ok := s.(*ast.TypeSpec); ok {
					if body, ok := t.Type.(*ast.StructType); ok {
						found[t.Name.Name] = body
					}
				}
			}
		}
	}
	return found
}

func (n sdkNames) json() ([]byte, error) { return json.Marshal(n) }
