package dataplane

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"strconv"
	"time"
)

// tracked is a target tracking policy with what its metric was (Application Auto Scaling user guide, "How target tracking works").
type tracked struct {
	value, target float64
	// above and below are how many periods in a row it was above the target, and below nine tenths of it.
	above, below int
	// in is whether the policy may scale in.
	in bool
}

const (
	// period is that of the metrics on AWS; outPeriods and inPeriods are how many it takes to scale.
	period                = time.Minute
	outPeriods, inPeriods = 3, 15
	// inShare is the share of the target below which a policy scales in.
	inShare = 0.9
)

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

// scaleTo is the desired count that policies lead to: one that wants more is enough to scale out, all have to want less to scale
// in, and then the least is taken away. out and in say whether the cool-downs are over.
func scaleTo(current, least, most int, policies []tracked, out, in bool) int {
	wants := func(t tracked) int { return int(math.Ceil(float64(current) * t.value / t.target)) }
	more, less, all := current, 0, len(policies) > 0
	for _, t := range policies {
		if t.above >= outPeriods {
			more = max(more, wants(t))
		}
		if !t.in {
			continue
		}
		if t.below < inPeriods {
			all = false
		}
		less = max(less, wants(t))
	}
	switch {
	case more > current && out:
		current = more
	case more == current && all && in && less < current:
		current = less
	}
	return min(max(current, least), most)
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
