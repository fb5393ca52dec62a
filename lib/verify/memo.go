package verify

import (
	"context"
	"fmt"
	"sync"
)

// memo keeps each API answer of a run: the first who asks fetches it, whoever asks meanwhile or later shares it,
// errors included.
type memo struct {
	mu    sync.Mutex
	calls map[string]*call
}

type call struct {
	once  sync.Once
	value any
	err   error
}

func (m *memo) call(key string) *call {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == nil {
		m.calls = map[string]*call{}
	}
	c, ok := m.calls[key]
	if !ok {
		c = &call{}
		m.calls[key] = c
	}
	return c
}

// shared returns the run's one answer for key. All checks of a run share one context, so that no check's own end can
// spoil an answer that others wait for.
func shared[T any](ctx context.Context, e *Env, key string, fetch func(context.Context) (T, error)) (T, error) {
	c := e.answers.call(key)
	c.once.Do(func() {
		defer func() {
			if p := recover(); p != nil {
				c.err = fmt.Errorf("reading %s: %v", key, p)
			}
		}()
		v, err := fetch(ctx)
		if err != nil {
			c.err = fmt.Errorf("reading %s: %w", key, err)
			return
		}
		c.value = v
	})
	v, _ := c.value.(T)
	return v, c.err
}
