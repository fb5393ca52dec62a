package unit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const programFile = "../../lib/tap_stack.go"

// The brief wants the whole implementation in one file; the packages below lib only drive and check it.
func TestTheInfrastructureIsOneGoFile(t *testing.T) {
	files, err := filepath.Glob("../../lib/*.*")
	require.NoError(t, err)
	assert.Equal(t, []string{programFile}, files)
}

func TestThePackageCommentListsTheSections(t *testing.T) {
	source, err := os.ReadFile(programFile)
	require.NoError(t, err)
	titles := func(pattern string) (found []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllSubmatch(source, -1) {
			found = append(found, string(match[1]))
		}
		return found
	}
	listed := titles(`(?m)^//\t(\S+(?: \S+)*) {2,}`)
	assert.GreaterOrEqual(t, len(listed), 10)
	assert.Equal(t, listed, titles(`(?m)^// -+\n// (.+)\n// -+$`))
}

func TestTheFileIsInTheOrderInWhichDeployCalls(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), programFile, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	functions := map[string]*ast.FuncDecl{}
	for _, declaration := range file.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok {
			functions[function.Name.Name] = function
		}
	}
	require.Contains(t, functions, "Deploy")
	var places []token.Pos
	ast.Inspect(functions["Deploy"].Body, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		name, _ := call.Fun.(*ast.Ident)
		if method, ok := call.Fun.(*ast.SelectorExpr); ok {
			name = method.Sel
		}
		require.Contains(t, functions, name.Name)
		places = append(places, functions[name.Name].Pos())
		return true
	})
	assert.Len(t, places, 12)
	assert.True(t, slices.IsSorted(places), "the functions that Deploy calls stand in another order than it calls them")
}
