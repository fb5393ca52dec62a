package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/cloud"
)

const callLimit = time.Minute

func ExamplePoll() {
	asked := 0
	err := cloud.Poll(context.Background(), cloud.Wait{Limit: time.Minute, First: time.Millisecond, Longest: time.Second},
		func(context.Context) (bool, error) { asked++; return asked == 3, nil })
	fmt.Println(asked, err)
	// Output: 3 <nil>
}

func TestPollAsksFirstAndOnceMoreAtTheEnd(t *testing.T) {
	denied, stop := errors.New("denied"), errors.New("stop")
	ended, end := context.WithCancelCause(t.Context())
	end(stop)
	hour := cloud.Wait{Limit: time.Hour, First: time.Hour, Longest: time.Hour}
	for _, c := range []struct {
		says   string
		ctx    context.Context
		wait   cloud.Wait
		yes    bool
		answer error
		want   error
		asked  int
	}{
		{"a yes ends it at once", t.Context(), hour, true, nil, nil, 1},
		{"an error ends it at once", t.Context(), hour, false, denied, denied, 1},
		{"no pause goes beyond the limit", t.Context(), cloud.Wait{Limit: 5 * time.Millisecond, First: time.Hour, Longest: time.Hour}, false, nil, cloud.ErrTimeout, 2},
		{"an ended context is not asked under", ended, hour, true, nil, stop, 0},
	} {
		asked := 0
		err := cloud.Poll(c.ctx, c.wait, func(context.Context) (bool, error) { asked++; return c.yes, c.answer })
		require.ErrorIs(t, err, c.want, c.says)
		assert.Equal(t, c.asked, asked, c.says)
	}
}

func TestTheEndOfTheContextEndsAPause(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	err := cloud.Poll(ctx, cloud.Wait{First: time.Hour, Longest: time.Hour}, func(context.Context) (bool, error) { asked++; cancel(); return false, nil })
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, asked)
}
