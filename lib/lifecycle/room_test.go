package lifecycle

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnOperationEndsBeforeTheDiskIsFullAndGivesItsReserveUp(t *testing.T) {
	for name, c := range map[string]struct {
		free uint64
		err  error
		ends bool
	}{
		"enough room":         {1 << 30, nil, false},
		"none":                {1000, nil, true},
		"nobody tells of any": {0, errors.ErrUnsupported, false},
	} {
		r := folder(t.TempDir()).room(func() {})
		var free atomic.Uint64
		free.Store(1 << 30)
		r.free = func(string) (uint64, error) { return free.Load(), c.err }
		ctx, release := r.watch(t.Context())
		info, err := os.Stat(r.reserve)
		require.NoError(t, err, name)
		require.EqualValues(t, reserveSize, info.Size())
		free.Store(c.free)
		if c.ends {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
				require.Fail(t, "it goes on", name)
			}
			var full *FullDiskError
			require.ErrorAs(t, context.Cause(ctx), &full, name)
			require.NoFileExists(t, r.reserve)
		} else {
			select {
			case <-ctx.Done():
				require.Fail(t, "it ends", name)
			case <-time.After(3 * roomPause):
			}
		}
		release()
		require.NoFileExists(t, r.reserve)
	}
}

func TestTheEngineIsKilledWhereOthersTakeTheReserveAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		killed := make(chan time.Time, 1)
		r := folder(t.TempDir()).room(func() { killed <- time.Now() })
		r.free = func(string) (uint64, error) { return 0, nil }
		started := time.Now()
		ctx, release := r.watch(t.Context())
		defer release()
		<-ctx.Done()
		at := <-killed
		require.GreaterOrEqual(t, at.Sub(started), roomPatience, "it may have time to save its state")
		require.Less(t, at.Sub(started), 2*roomPatience)
	})
}

func TestAnOperationDoesNotBeginWithoutRoomForItsReserve(t *testing.T) {
	r := folder(filepath.Join(t.TempDir(), "not there")).room(func() {})
	ctx, release := r.watch(t.Context())
	defer release()
	var full *FullDiskError
	require.ErrorAs(t, context.Cause(ctx), &full)
}

func TestAStateThatIsCutShortEndsTheOperation(t *testing.T) {
	f, stacks := states(t, map[string]string{"dev.json": "{}"})
	s := &Stack{options: Options{Project: "toy", Stack: "dev"}, folder: f, command: &command{room: f.room(func() {})}}
	s.command.room.free = func(string) (uint64, error) { return 1 << 30, nil } // a quota is told by nobody
	ctx, release := s.command.room.watch(t.Context())
	defer release()
	step := Step{Op: "create", Name: "thing"}
	keeper{silent{}, s}.Done(step)
	require.NoError(t, ctx.Err())
	require.NoError(t, os.Remove(filepath.Join(stacks, "dev.json")))
	require.NoError(t, os.WriteFile(filepath.Join(stacks, "dev.json"), []byte("{"), 0o600))
	keeper{silent{}, s}.Done(step)
	require.Error(t, ctx.Err())
	require.ErrorContains(t, context.Cause(ctx), "is full")
}
