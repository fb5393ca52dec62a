package cloud_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNobodyElseMakesAClient holds that every AWS client of the repository comes from this package.
func TestNobodyElseMakesAClient(t *testing.T) {
	// The reference services stand for the users' own services, which share nothing with this project.
	allowed := regexp.MustCompile(`^(lib/cloud|fixtures/services)/`)
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return filepath.SkipDir
		}
		name, _ := filepath.Rel(root, path)
		if !strings.HasSuffix(name, ".go") || allowed.MatchString(filepath.ToSlash(name)) {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			use, ok := n.(*ast.SelectorExpr)
			assert.False(t, ok && use.Sel.Name == "NewFromConfig", "%s makes an AWS client of its own: take it from cloud.NewClients", name)
			return true
		})
		return nil
	})
	require.NoError(t, err)
}
