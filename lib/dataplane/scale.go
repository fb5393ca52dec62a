package dataplane

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
)

// tracked is a target tracking policy with what its metric was (Application Auto Scaling user guide, "How target tracking works").
type tracked struct {
	value, target float64
	// above and below are how many periods in a row it was above the target, and below nine tenths of it.
	above, below int
	// in is whether the policy may scale in.
	in              bool
	coolOut, coolIn time.Duration
}

const (
	// period is that of the metrics on AWS; outPeriods and inPeriods are how many it takes to scale.
	period                = time.Minute
	outPeriods, inPeriods = 3, 15
	// inShare is the share of the target below which a policy scales in.
	inShare = 0.9
	// usualCoolDown is that of a policy of an ECS service which tells none (API reference, TargetTrackingScalingPolicyConfiguration).
	usualCoolDown = 300 * time.Second
)

func coolDown(told *int32) time.Duration {
	if told == nil {
		return usualCoolDown
	}
	return time.Duration(*told) * time.Second
}

// note takes the value of a period.
func (t *tracked) note(value float64) {
	t.value = value
	if value > t.target {
		t.above++
	} else {
		t.above = 0
	}
	if value < inShare*t.target {
		t.below++
	} else {
		t.below = 0
	}
}

// activity is how a service was scaled last.
type activity struct {
	out, in time.Time
	// before is how many tasks ran when it scaled out last.
	before int
}

// did notes what was done.
func (a activity) did(u usage, to int, now time.Time) activity {
	if to > u.wanted {
		return activity{out: now, before: u.running} // which ends the cool-down of a scale-in
	}
	a.in = now
	return a
}

// next is the desired count that policies lead to. passed is how much time of AWS's has passed since then. A policy that wants more
// is enough to scale out, all have to want less to scale in, and then the least is taken away. They start from the tasks that run, not from
// those that are desired. While it cools down, what a scale-out has added counts for the next one, so that only a larger one is
// done; scaling in waits for the cool-down of the last time, and for the end of a deployment.
func (a activity) next(target scalingtypes.ScalableTarget, u usage, policies []tracked, passed func(time.Time) time.Duration) int {
	suspended := cmp.Or(target.SuspendedState, &scalingtypes.SuspendedState{})
	wants := func(t tracked, running int) int { return int(math.Ceil(float64(running) * t.value / t.target)) }
	more, less := u.wanted, 0
	ready, all := 0, 0 // of the policies that may scale in
	for _, t := range policies {
		if t.above >= outPeriods {
			from := u.running
			if !a.out.IsZero() && passed(a.out) < t.coolOut {
				from = min(from, a.before)
			}
			more = max(more, wants(t, from))
		}
		if !t.in {
			continue
		}
		all++
		if t.below >= inPeriods && (a.in.IsZero() || passed(a.in) >= t.coolIn) {
			ready++
		}
		less = max(less, wants(t, u.running))
	}
	least, most := int(aws.ToInt32(target.MinCapacity)), int(aws.ToInt32(target.MaxCapacity))
	switch {
	case more > u.wanted && !aws.ToBool(suspended.DynamicScalingOutSuspended):
		return max(u.wanted, min(max(more, least), most))
	case more == u.wanted && all > 0 && ready == all && less < u.wanted && !u.deploying && !aws.ToBool(suspended.DynamicScalingInSuspended):
		return min(u.wanted, max(min(less, most), least))
	}
	return u.wanted
}

// evaluate computes a metric math expression of names, numbers, + - * / and parentheses.
func evaluate(expression string, values map[string]float64) (float64, error) {
	parsed, err := parser.ParseExpr(expression)
	if err != nil {
		return 0, fmt.Errorf("the expression %q is not understood", expression)
	}
	return compute(parsed, values)
}

var errNoValue = errors.New("there is no value")

func compute(e ast.Expr, values map[string]float64) (float64, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return compute(e.X, values)
	case *ast.BasicLit:
		return strconv.ParseFloat(e.Value, 64)
	case *ast.Ident:
		value, is := values[e.Name]
		if !is {
			return 0, fmt.Errorf("%s: %w", e.Name, errNoValue)
		}
		return value, nil
	case *ast.BinaryExpr:
		x, err1 := compute(e.X, values)
		y, err2 := compute(e.Y, values)
		if err := errors.Join(err1, err2); err != nil {
			return 0, err
		}
		switch e.Op {
		case token.ADD:
			return x + y, nil
		case token.SUB:
			return x - y, nil
		case token.MUL:
			return x * y, nil
		case token.QUO:
			if y == 0 {
				return 0, fmt.Errorf("a division by 0: %w", errNoValue)
			}
			return x / y, nil
		}
	}
	return 0, errors.New("the expression has more than + - * / of metrics and numbers")
}
