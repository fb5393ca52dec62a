// Package sweep removes what earlier runs have left in an account, without their state. It works in three steps:
//
//	New      decides, from what inventory.Find has found, what to delete and in which order, and why all else is kept
//	Execute  deletes it, and goes on past what fails
//	Prove    asks the services again
//
// A resource is deleted only when its own tags prove that it is of this owner, of a run that is old enough, and expired,
// and when its name is one that the stack gives. What cannot carry tags is proven by what it belongs to, and is deleted
// before that, so that a sweep that stops half-way can be repeated.
package sweep

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tapstack/lib"
	"tapstack/lib/inventory"
)

// Options say what may be swept.
type Options struct {
	// Owner is the value of the tag tapstack:owner; nothing of another owner is touched.
	Owner string
	// OlderThan is how long ago a run must have started.
	OlderThan time.Duration
	// Suffix restricts the sweep to one stack; empty means any.
	Suffix string
	// IgnoreExpiry takes stacks that have not expired, or never do, for expired. It needs a Suffix: nobody does that to a
	// stack that he has not named.
	IgnoreExpiry bool
	// Run restricts the sweep to what one run has made, however long ago; empty means any that is old enough. It needs a Suffix.
	Run string
	// Now is the moment that ages and expiries are measured from.
	Now time.Time
}

func (o Options) fault() error {
	switch {
	case o.Owner == "":
		return fmt.Errorf("a sweep needs an owner")
	case o.OlderThan < 0:
		return fmt.Errorf("an age of %s is in the future", o.OlderThan)
	case o.IgnoreExpiry && o.Suffix == "":
		return fmt.Errorf("the expiry can be ignored for one named suffix only")
	case o.Run != "" && o.Suffix == "":
		return fmt.Errorf("a run is of one named suffix only")
	case o.Now.IsZero():
		return fmt.Errorf("a sweep needs to know the time")
	}
	return nil
}

// Item is a resource and what is to become of it. Reason says in a few words why.
type Item struct {
	inventory.Resource
	// Stack is the suffix of the stack that it is of, by its name or by what it belongs to; empty when nobody can tell.
	Stack  string `json:"stack,omitempty"`
	Reason string `json:"reason"`
	// Ours says of what is kept that it is of this owner: too young, or in use.
	Ours bool `json:"ours,omitempty"`
}

// String names the resource in one line.
func (i Item) String() string {
	name := i.Name
	if name == "" || strings.Contains(name, "/") && i.Kind == inventory.DNSRecord {
		name = i.ID
	}
	return i.Kind.Name + " " + name
}

// Plan is what a sweep is to do.
type Plan struct {
	// Delete is in the order of deletion.
	Delete []Item `json:"delete"`
	// Along is what AWS removes together with something in Delete.
	Along []Item `json:"along"`
	// Blocked is ours, but something that is not hangs on it. It counts as left.
	Blocked []Item `json:"blocked"`
	// Kept is not ours, not provably ours, or still in use.
	Kept []Item `json:"kept"`
}

// New makes the plan. It asks nothing.
func New(found []inventory.Resource, o Options) (Plan, error) {
	if err := o.fault(); err != nil {
		return Plan{}, err
	}
	j := newJudge(found, o)
	j.block()
	var p Plan
	for i, f := range found {
		v := j.verdicts[i]
		item := Item{Resource: f, Stack: v.stack, Reason: v.reason}
		switch {
		case o.Suffix != "" && item.Stack != o.Suffix:
		case v.outcome == ours && f.RemovedByAWS:
			p.Along = append(p.Along, item)
		case v.outcome == ours:
			p.Delete = append(p.Delete, item)
		case v.outcome == blocked:
			p.Blocked = append(p.Blocked, item)
		default:
			item.Ours = v.outcome == living
			p.Kept = append(p.Kept, item)
		}
	}
	place := map[*inventory.Kind]int{}
	for i, kind := range inventory.RemovalOrder() {
		place[kind] = i
	}
	for _, list := range [][]Item{p.Delete, p.Along, p.Blocked, p.Kept} {
		slices.SortStableFunc(list, func(a, b Item) int {
			return cmp.Or(cmp.Compare(place[a.Kind], place[b.Kind]), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ARN, b.ARN))
		})
	}
	return p, nil
}

// Spare keeps what is chosen, of what was to be deleted or goes along, as ours and in use.
func (p *Plan) Spare(chosen func(Item) bool, reason string) {
	for _, list := range []*[]Item{&p.Delete, &p.Along} {
		for _, item := range *list {
			if chosen(item) {
				item.Reason, item.Ours = reason, true
				p.Kept = append(p.Kept, item)
			}
		}
		*list = slices.DeleteFunc(*list, chosen)
	}
}

type outcome int

const (
	pending outcome = iota // not judged yet
	ours
	blocked
	living // ours, and to stay for now
	kept
)

type verdict struct {
	outcome outcome
	reason  string
	stack   string
}

// judge decides about each resource, those first that others depend on.
type judge struct {
	Options
	found    []inventory.Resource
	byARN    map[string]int
	verdicts []verdict
	// lives tells of each suffix why its stack is still in use: one resource that is younger or not expired speaks for all,
	// since an update that was interrupted leaves both kinds of tags behind.
	lives map[string]string
}

func newJudge(found []inventory.Resource, o Options) *judge {
	j := &judge{Options: o, found: found, byARN: map[string]int{}, verdicts: make([]verdict, len(found)), lives: map[string]string{}}
	for i, f := range found {
		j.byARN[f.ARN] = i
		if f.Suffix == "" || f.Tags[lib.TagOwner] != o.Owner || o.Run != "" {
			continue
		}
		if inUse := j.inUse(f.Tags); inUse != "" {
			j.lives[f.Suffix] = fmt.Sprintf("%s of %s: %s", f.Kind, f.Name, inUse)
		}
	}
	for i := range found {
		j.judge(i)
	}
	return j
}

func (j *judge) judge(i int) verdict {
	if j.verdicts[i].outcome == pending {
		j.verdicts[i] = verdict{kept, "it belongs to itself", ""} // only while its own relations are followed
		v := j.decide(j.found[i])
		v.stack = cmp.Or(j.found[i].Suffix, v.stack)
		j.verdicts[i] = v
	}
	return j.verdicts[i]
}

func (j *judge) decide(f inventory.Resource) verdict {
	if _, tagged := f.Tags[lib.TagOwner]; tagged {
		return j.byTags(f)
	}
	if f.Kind.Removal.Proof == inventory.ByTags || len(f.PartOf) == 0 {
		return verdict{kept, "not provably ours: " + untagged(f), ""}
	}
	return j.byOwner(f)
}

func untagged(f inventory.Resource) string {
	switch {
	case f.TagsErr != nil:
		return "its tags cannot be read: " + f.TagsErr.Error()
	case !f.Taggable:
		return "it cannot carry tags, and nothing tells what it belongs to"
	}
	return "it has no tag " + lib.TagOwner
}

func (j *judge) byTags(f inventory.Resource) verdict {
	if owner := f.Tags[lib.TagOwner]; owner != j.Owner {
		return verdict{kept, "its owner is " + owner, ""}
	}
	if f.Suffix == "" {
		return verdict{kept, "not provably ours: the stack never gives this name", ""}
	}
	if inUse := j.inUse(f.Tags); inUse != "" {
		return verdict{living, inUse, ""}
	}
	if lives, found := j.lives[f.Suffix]; found {
		return verdict{living, "its stack is in use, says the " + lives, ""}
	}
	if f.Kind.Removal.Never {
		return verdict{kept, "not provably ours: the sweep never deletes this kind", ""}
	}
	return verdict{ours, fmt.Sprintf("run %s, expires %s", f.Tags[lib.TagRun], f.Tags[lib.TagExpires]), f.Suffix}
}

// inUse tells from its tags why a resource of ours is not to be swept; empty when it is.
func (j *judge) inUse(tags map[string]string) string {
	start, told := lib.RunStart(tags[lib.TagRun])
	if j.Run != "" {
		if tags[lib.TagRun] != j.Run {
			return fmt.Sprintf("it is of run %q", tags[lib.TagRun])
		}
		start, told = j.Now, true
	}
	switch age := j.Now.Sub(start).Round(time.Second); {
	case !told:
		return fmt.Sprintf("its run %q does not tell when it started", tags[lib.TagRun])
	case age < 0:
		return fmt.Sprintf("its run starts in the future, at %s", start.Format(time.RFC3339))
	case age < j.OlderThan:
		return fmt.Sprintf("its run started %s ago, which is less than %s", age, j.OlderThan)
	case j.IgnoreExpiry:
		return ""
	}
	expires, err := lib.ParseExpiry(tags[lib.TagExpires])
	switch {
	case err != nil:
		return fmt.Sprintf("its expiry %q cannot be read", tags[lib.TagExpires])
	case expires.IsZero():
		return "it never expires"
	case expires.After(j.Now):
		return "it expires at " + expires.Format(time.RFC3339)
	}
	return ""
}

// byOwner wants everything that a resource belongs to to be ours, and of one stack; and its name, if the stack gives
// its kind one, to be of the same stack.
func (j *judge) byOwner(f inventory.Resource) verdict {
	stack := ""
	for _, id := range f.PartOf {
		i, found := j.byARN[id]
		if !found {
			return verdict{kept, "not provably ours: it belongs to " + cmp.Or(id, "something unknown") + ", which is not there or not the stack's", ""}
		}
		of := j.judge(i)
		if of.outcome != ours {
			outcome := kept
			if of.outcome == living {
				outcome = living
			}
			return verdict{outcome, fmt.Sprintf("it belongs to %s %s: %s", j.found[i].Kind, j.found[i].Name, of.reason), of.stack}
		}
		if stack != "" && stack != of.stack {
			return verdict{kept, "not provably ours: it belongs to several stacks", ""}
		}
		stack = of.stack
	}
	if f.Kind.Removal.Proof == inventory.ByOwnerAndName && f.Suffix != stack {
		return verdict{kept, fmt.Sprintf("not provably ours: it belongs to stack %s, which never gives this name", stack), ""}
	}
	of := j.found[j.byARN[f.PartOf[0]]]
	return verdict{ours, fmt.Sprintf("belongs to %s %s", of.Kind, cmp.Or(of.Name, of.ID)), stack}
}

// block spares what something else that stays hangs on, and what hangs on that in turn: deleting it would take the other
// along, or fail.
func (j *judge) block() {
	for again := true; again; {
		again = false
		for i, f := range j.found {
			if j.verdicts[i].outcome == ours || f.RemovedByAWS {
				continue
			}
			for _, at := range j.holders(f) {
				if j.verdicts[at].outcome == ours {
					j.verdicts[at] = verdict{blocked, fmt.Sprintf("%s %s hangs on it, which is kept: %s", f.Kind, cmp.Or(f.Name, f.ID), j.verdicts[i].reason), j.verdicts[at].stack}
					again = true
				}
			}
		}
	}
}

// holders are what cannot go while f stays: the VPC around it, and what it is part of.
func (j *judge) holders(f inventory.Resource) []int {
	ids := []string{}
	if f.Kind.Removal.HoldsOwner {
		ids = f.PartOf
	}
	var all []int
	for i, other := range j.found {
		if slices.Contains(ids, other.ARN) || other.Kind == inventory.VPC && other.VPC == f.VPC && other.ARN != f.ARN {
			all = append(all, i)
		}
	}
	return all
}
