package unit_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "tapstack/"

// layers are the packages in the order of docs/architecture.md, each with what is below its folder unless that has a place
// of its own. A package may import from later layers only, so that, for one, sweep and preflight cannot depend on verify.
var layers = [][]string{
	{"bin/tap", "bin/stack", "bin/engine"},
	{"lib/session", "lib/target/localstackimage"}, // the latter is for tests
	{"lib/lifecycle", "lib/verify", "lib/sweep", "lib/preflight", "lib/cost", "lib/load", "lib/target", "lib/awsprovider", "lib/dataplane"},
	{"lib/inventory"},
	{"lib/policy", "lib/declared", "lib/reachability"},
	{"lib/cloud", "lib/process", "lib/cache"},
	{"lib/printable"},
	{"lib"},
}

// place is the layer of a package and the folder by which it is there, -1 for one that has none.
func place(folder string) (layer int, by string) {
	for by = folder; by != "." && (by == folder || by != "lib"); by = path.Dir(by) {
		layer = slices.IndexFunc(layers, func(packages []string) bool { return slices.Contains(packages, by) })
		if layer >= 0 {
			return layer, by
		}
	}
	return -1, folder
}

// ownImports are the project's packages that each of its packages imports, tests left out.
func ownImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	for _, tree := range []string{"bin", "lib"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, tree), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			folder, err := filepath.Rel(root, filepath.Dir(file))
			folder = filepath.ToSlash(folder)
			for _, spec := range parsed.Imports {
				name, _ := strconv.Unquote(spec.Path.Value)
				if own, is := strings.CutPrefix(name, module); is {
					imports[folder] = append(imports[folder], own)
				}
			}
			imports[folder] = slices.Compact(slices.Sorted(slices.Values(imports[folder])))
			return err
		}))
	}
	return imports
}

func TestImportsPointOneWay(t *testing.T) {
	imports := ownImports(t)
	for folder, imported := range imports {
		from, by := place(folder)
		if !assert.NotEqual(t, -1, from, "%s has a place among the layers", folder) {
			continue
		}
		for _, name := range imported {
			to, itsBy := place(name)
			assert.True(t, itsBy == by || to > from, "%s imports %s", folder, name)
		}
	}
	for _, packages := range layers {
		for _, folder := range packages {
			assert.Contains(t, imports, folder, "the layers name packages that exist")
		}
	}
}
