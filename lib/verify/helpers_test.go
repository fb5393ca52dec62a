package verify

import (
	"context"
	"go/parser"
	"go/token"
	"io"
	"log"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// packageText is the package comment.
func packageText(t *testing.T) string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "verify.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	require.NoError(t, err)
	return parsed.Doc.Text()
}

// quiet keeps servers from telling of every client that goes away.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func contextWithin(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}
