package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Leak is a resource of the stack that is still there.
type Leak struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	ARN  string `json:"arn"`
}

// String is the leak in one line.
func (l Leak) String() string { return fmt.Sprintf("%s %s (%s)", l.Kind, l.Name, l.ARN) }

// Leaks lists all that is left of the stack with a suffix. It asks every service that the stack uses, in the config's
// region, and knows the stack's own by their names and tags, and what stands in its VPC. An error means that nothing is
// proven. Not counted, since nobody can remove them: INACTIVE ECS task definitions and clusters, KMS keys that wait for
// their deletion, NAT gateways already deleted, and, on a target that knows no automated database backups, the snapshots
// that it takes by itself.
func Leaks(ctx context.Context, cfg aws.Config, suffix string) ([]Leak, error) {
	if suffix == "" {
		return nil, errors.New("looking for leaks: the suffix is empty")
	}
	found, err := newEnv(Options{AWS: cfg, Suffix: suffix}).inventory(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for what is left of %q: %w", suffix, err)
	}
	leaks := make([]Leak, 0, len(found))
	for _, r := range found {
		leaks = append(leaks, Leak{Kind: string(r.kind), Name: r.name, ARN: r.arn})
	}
	slices.SortFunc(leaks, func(a, b Leak) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ARN, b.ARN))
	})
	return leaks, nil
}
