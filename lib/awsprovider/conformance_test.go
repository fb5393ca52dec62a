package awsprovider_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider"
	"tapstack/lib/awsprovider/conformance"
	"tapstack/lib/awsprovider/random"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

func TestEveryTypeConforms(t *testing.T) {
	processtest.SkipIfShort(t)
	cloud, err := target.Open(t.Context(), target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cloud.Close()) })
	provider, err := awsprovider.New(cloud.Config)
	require.NoError(t, err)
	conformance.Run(t, provider, awsprovider.Resources())
}

func TestEveryRandomTypeConforms(t *testing.T) {
	provider, err := awsprovider.NewRandom()
	require.NoError(t, err)
	conformance.Run(t, provider, random.Resources())
}
