package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// elsewhere are the packages whose work is not this one's, and the functions of others that lib/session calls.
var elsewhere = []string{
	"github.com/aws/", "github.com/pulumi/", "net/http", "os/exec", "os/signal", "tapstack/lib/awsprovider", "tapstack/lib/cost/prices",
	"lifecycle.Open", "lifecycle.Options", "lifecycle.FindEngine", "load.Run", "preflight.Run", "target.Open", "verify.Run", "inventory.Leaks", "inventory.Find", "sweep.New", "sweep.Execute",
}

func TestTapIsWiringOnly(t *testing.T) {
	files := token.NewFileSet()
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.NotEmpty(t, sources)
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, source, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			used := ""
			switch n := node.(type) {
			case *ast.ImportSpec:
				used, _ = strconv.Unquote(n.Path.Value)
			case *ast.SelectorExpr:
				if from, is := n.X.(*ast.Ident); is {
					used = from.Name + "." + n.Sel.Name
				}
			}
			for _, not := range elsewhere {
				foreign := used == not || strings.HasSuffix(not, "/") && strings.HasPrefix(used, not)
				assert.False(t, foreign, "%s uses %s, which lib does for it", source, used)
			}
			return true
		})
	}
}
