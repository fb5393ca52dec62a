package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
)

// Outcome is what came of one deletion. Error is empty for a resource that is gone.
type Outcome struct {
	Item
	Error      string  `json:"error,omitempty"`
	DurationMS float64 `json:"durationMs"`
}

// concurrency bounds the deletions of one kind that go on at a time.
const concurrency = 8

// Execute deletes what the plan says, one kind after the other, and waits for each kind to be gone before it goes on. It
// goes on past failures, save that what proves or holds a resource which could not be deleted stays. done, which may be
// nil, hears of each outcome as it comes, one call at a time. A context that ends stops between two calls; the error says
// so, and the outcomes tell how far it came.
func Execute(ctx context.Context, cfg aws.Config, p Plan, done func(Outcome)) ([]Outcome, error) {
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), cloud.StopBetweenCalls(callLimit))
	x := &execution{clients: cloud.NewClients(cfg), held: map[string]string{}, done: done}
	calls := removals()
	for _, kind := range inventory.RemovalOrder() {
		batch := slices.DeleteFunc(slices.Clone(p.Delete), func(i Item) bool { return i.Kind != kind })
		x.removeAll(ctx, calls[kind], batch)
		if err := ctx.Err(); err != nil {
			return x.outcomes, fmt.Errorf("the sweep stopped before its end: %w", context.Cause(ctx))
		}
	}
	return x.outcomes, nil
}

type execution struct {
	clients *cloud.Clients
	done    func(Outcome)

	mutex    sync.Mutex
	outcomes []Outcome
	// held tells by ARN why something must stay, since what it proves or holds is still there.
	held map[string]string
}

func (x *execution) removeAll(ctx context.Context, r removal, batch []Item) {
	var group errgroup.Group
	group.SetLimit(concurrency)
	for _, item := range batch {
		group.Go(func() error {
			started := time.Now()
			err := x.remove(ctx, r, item)
			if ctx.Err() == nil || !errors.Is(err, context.Cause(ctx)) { // else not tried, or not known: the next sweep sees
				x.note(item, err, time.Since(started))
			}
			return nil
		})
	}
	_ = group.Wait() // errors are outcomes
}

func (x *execution) remove(ctx context.Context, r removal, item Item) error {
	if why := x.whyHeld(item.ARN); why != "" {
		return errors.New("not tried: " + why)
	}
	if r.remove == nil {
		return errors.New("nothing is known to delete this kind")
	}
	limit := cmp.Or(item.Kind.Removal.Limit, usualLimit)
	if err := retry(ctx, limit, func() error { return r.remove(ctx, x.clients, item.Resource) }); err != nil {
		return err
	}
	if r.gone == nil {
		return nil
	}
	return waitUntilGone(ctx, limit, func() (bool, error) { return r.gone(ctx, x.clients, item.Resource) })
}

func (x *execution) note(item Item, err error, took time.Duration) {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	o := Outcome{Item: item, DurationMS: float64(took.Microseconds()) / 1000}
	if err != nil {
		o.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
		x.hold(item)
	}
	x.outcomes = append(x.outcomes, o)
	if x.done != nil {
		x.done(o)
	}
}

// hold keeps what item belongs to, and the VPC that it stands in.
func (x *execution) hold(item Item) {
	why := item.String() + " is still there"
	for _, id := range item.PartOf {
		x.held[id] = why
	}
	if item.VPC != "" && item.Kind != inventory.VPC {
		x.held[item.VPC] = why
	}
}

func (x *execution) whyHeld(arn string) string {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	if why, found := x.held[arn]; found {
		return why
	}
	return x.held[arn[strings.LastIndex(arn, "/")+1:]] // a VPC is held by its id
}

var errBusy = errors.New("a service still uses it")

// transientCodes are the codes, or parts of them, with which services say that something else must go first, or is going.
func transientCodes() []string {
	return []string{
		"DependencyViolation", "InUse", "InvalidIPAddress.InUse", // EC2, ELB, ACM
		"DeleteConflict", "ConcurrentModification", // IAM, EventBridge
		"ClusterContains", "UpdateInProgress", // ECS
		"InvalidDBInstanceState", "InvalidDBClusterState", "InvalidDBSubnetGroupState", "InvalidDBParameterGroupState",
		"InvalidDBClusterSnapshotState", "InvalidDBSnapshotState", "InvalidDBClusterAutomatedBackupState", "InvalidEventSubscriptionState",
		"WAFAssociatedItem", "WAFUnavailableEntity", "WAFOptimisticLock",
		"BucketNotEmpty", "OperationAborted", "PriorRequestNotComplete", "ConcurrentUpdate", "ConflictException",
	}
}

func isTransient(err error) bool {
	var api smithy.APIError
	return errors.Is(err, errBusy) || errors.As(err, &api) &&
		slices.ContainsFunc(transientCodes(), func(code string) bool { return strings.Contains(api.ErrorCode(), code) })
}

// isGone also knows the answers that are not named after what is missing: a service that drains or is gone, a key that
// waits for its deletion.
func isGone(err error) bool {
	return cloud.IsNotFound(err) || cloud.HasCode(err, "ServiceNotActiveException", "KMSInvalidStateException")
}

// retry calls until the resource is gone or the error is none that passes.
func retry(ctx context.Context, limit time.Duration, call func() error) error {
	var last error
	err := until(ctx, limit, func() (bool, error) {
		last = call()
		switch {
		case last == nil || isGone(last):
			return true, nil
		case isTransient(last):
			return false, nil
		}
		return false, last
	})
	if errors.Is(err, cloud.ErrTimeout) {
		return fmt.Errorf("it is still there after %s: %w", limit, last)
	}
	return err
}

// waitUntilGone asks until the resource is gone.
func waitUntilGone(ctx context.Context, limit time.Duration, gone func() (bool, error)) error {
	err := until(ctx, limit, func() (bool, error) {
		done, err := gone()
		if err != nil && isGone(err) {
			return true, nil
		}
		return done, err
	})
	if errors.Is(err, cloud.ErrTimeout) {
		return fmt.Errorf("it is still there after %s", limit)
	}
	return err
}

// until asks at growing intervals, as long as limit.
func until(ctx context.Context, limit time.Duration, ask func() (bool, error)) error {
	wait := cloud.Wait{Limit: limit, First: 500 * time.Millisecond, Longest: 15 * time.Second}
	return cloud.Poll(ctx, wait, func(context.Context) (bool, error) { return ask() })
}

// settleLimit is how long lists may go on telling of what is gone: SQS says up to a minute.
const settleLimit = 90 * time.Second

// Prove asks every service again and lists what is left of what the plan was to remove, and whatever else may now be
// swept. What failed is expected to be left and not waited for. An error means that nothing is proven.
func Prove(ctx context.Context, cfg aws.Config, p Plan, outcomes []Outcome, o Options) ([]Item, error) {
	planned := map[string]bool{}
	for _, item := range slices.Concat(p.Delete, p.Along) {
		planned[item.ARN+" "+item.ID] = true
	}
	expected := len(p.Blocked)
	for _, it := range outcomes {
		if it.Error != "" {
			expected++
		}
	}
	var left []Item
	err := until(ctx, settleLimit, func() (bool, error) {
		_, found, err := inventory.FindStack(ctx, cfg, o.Suffix)
		if err != nil {
			return false, err
		}
		again, err := New(found, o)
		if err != nil {
			return false, err
		}
		left = slices.Concat(again.Delete, again.Along, again.Blocked)
		for _, item := range again.Kept {
			if planned[item.ARN+" "+item.ID] {
				left = append(left, item)
			}
		}
		return len(left) <= expected, nil
	})
	if errors.Is(err, cloud.ErrTimeout) {
		err = nil
	}
	return left, err
}
