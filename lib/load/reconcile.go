package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Reconciliation compares the acknowledged payments with those that are there.
type Reconciliation struct {
	Checked int `json:"checked"`
	// Missing are acknowledged payments that are not there; Different have another amount or currency. Both are ids.
	Missing   []string `json:"missing"`
	Different []string `json:"different"`
	// Statuses counts those that are there.
	Statuses map[string]int `json:"statuses"`
}

// OK says that every acknowledged payment is there, and as it was made.
func (r Reconciliation) OK() bool { return len(r.Missing) == 0 && len(r.Different) == 0 }

// settled is what a payment is in the end that is captured at once.
const settled = "settled"

const (
	lookTimeout  = 15 * time.Second
	lookAttempts = 8
	lookAtOnce   = 16
)

// Reconcile looks every payment up through the API, as the merchant that made it. Those that are not settled are looked up again
// for as long as patience lasts.
func (a API) Reconcile(patience time.Duration) func(context.Context, []Payment) (Reconciliation, error) {
	return func(ctx context.Context, acknowledged []Payment) (Reconciliation, error) {
		c, err := a.client(lookAtOnce, lookTimeout)
		if err != nil {
			return Reconciliation{}, err
		}
		defer c.close()
		found := Reconciliation{Checked: len(acknowledged), Missing: []string{}, Different: []string{}, Statuses: map[string]int{}}
		end := time.Now().Add(patience)
		for left := acknowledged; len(left) > 0; {
			last := !time.Now().Before(end)
			waiting, err := c.look(ctx, left, last, &found)
			if err != nil {
				return found, err
			}
			if left = waiting; len(left) > 0 && !until(ctx, time.Now().Add(500*time.Millisecond)) {
				return found, context.Cause(ctx)
			}
		}
		slices.Sort(found.Missing)
		slices.Sort(found.Different)
		return found, nil
	}
}

// look looks payments up once, and answers with those that are worth another look; the last time there are none.
func (c *client) look(ctx context.Context, payments []Payment, last bool, found *Reconciliation) (waiting []Payment, err error) {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookAtOnce)
	for _, p := range payments {
		group.Go(func() error {
			there, err := c.get(ctx, p)
			if err != nil {
				return fmt.Errorf("payment %s: %w", p.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case there == nil:
				found.Missing = append(found.Missing, p.ID)
			case there.ID != p.ID || there.Amount != p.Amount || !strings.EqualFold(there.Currency, p.Currency):
				found.Different = append(found.Different, p.ID)
			case there.Status != settled && !last:
				waiting = append(waiting, p)
			default:
				found.Statuses[there.Status]++
			}
			return nil
		})
	}
	return waiting, group.Wait()
}

// get reads a payment, nil for one that is not there. What goes away by itself is waited for.
func (c *client) get(ctx context.Context, p Payment) (*stored, error) {
	var last error
	for attempt := range lookAttempts {
		answer, err := c.do(ctx, http.MethodGet, p.ID, p.Merchant, "", nil)
		switch {
		case err != nil:
			last = errors.New(fault(err))
		case answer.status == http.StatusNotFound:
			return nil, nil //nolint:nilnil // the comment says so
		case answer.status == http.StatusOK:
			there := &stored{}
			return there, json.Unmarshal(answer.content, there)
		case answer.status < 500 && answer.status != http.StatusTooManyRequests:
			return nil, fmt.Errorf("the API answers with status %d", answer.status)
		default:
			last = fmt.Errorf("the API answers with status %d", answer.status)
		}
		pause(ctx, attempt+1, answer.after)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return nil, last
}
