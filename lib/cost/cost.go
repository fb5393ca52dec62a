// Package cost estimates what a plan costs on AWS: for a run, for an hour, and for a month. It looks at nothing but the
// planned resources, as the engine's preview tells them, and a table of list prices. What follows from the resources
// themselves is counted; what follows from their use is assumed, from a table that the estimate shows; what it has no
// price for it names. It knows nothing of traffic, taxes, discounts and free tiers.
package cost

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tapstack/lib/inventory"
)

// Resource is one planned resource.
type Resource struct {
	Type string // aws:ecs/service:Service
	Name string // the logical name
	// Inputs are as JSON has them. A value that is not known yet, or secret, may be any string.
	Inputs map[string]any
}

// Options of an estimate.
type Options struct {
	// Run is how long the stack lives. Every resource is taken to live as long.
	Run time.Duration
	// Assume replaces assumptions, by name, in their unit per month.
	Assume map[string]Amount
}

// Costs are dollars.
type Costs struct {
	Run   Amount `json:"run"`
	Hour  Amount `json:"hour"`
	Month Amount `json:"month"` // of HoursPerMonth
}

// Plus adds up.
func (c Costs) Plus(o Costs) Costs {
	return Costs{Run: c.Run.Plus(o.Run), Hour: c.Hour.Plus(o.Hour), Month: c.Month.Plus(o.Month)}
}

// Line is one thing that a resource is billed for.
type Line struct {
	Group    string `json:"group"`
	Resource string `json:"resource"`
	Type     string `json:"type"`
	What     string `json:"what"`
	// Quantity is how many units there are at any time; of an assumption, how many are used up in a month.
	Quantity  Amount `json:"quantity"`
	Unit      string `json:"unit"`
	Price     Amount `json:"price"` // of one unit
	Key       string `json:"key"`   // in the price table
	Confirmed bool   `json:"confirmed"`
	// Assumption is the name of the assumption that the quantity comes from, and Why what stands behind it. Both are empty
	// for a quantity that the plan tells.
	Assumption string `json:"assumption,omitempty"`
	Why        string `json:"why,omitempty"`
	Costs
}

// Missing is something in the plan that the estimate leaves out, since it has no price for it.
type Missing struct {
	Resource string `json:"resource"`
	Type     string `json:"type"`
	Why      string `json:"why"`
}

// Free is a type whose resources cost nothing by themselves.
type Free struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
	Why   string `json:"why"`
}

// Estimate is what a plan costs.
type Estimate struct {
	Region  string    `json:"region"`
	Checked Date      `json:"pricesChecked"` // the day on which the oldest price was last looked up
	Run     Duration  `json:"runLength"`
	Lines   []Line    `json:"lines"`
	Missing []Missing `json:"missing"`
	Free    []Free    `json:"free"`
	// Planned follows from the plan, Assumed from the assumptions, Total is both.
	Planned Costs `json:"planned"`
	Assumed Costs `json:"assumed"`
	Total   Costs `json:"total"`
}

// Unconfirmed lists the keys of the prices in the estimate that no public source was found for.
func (e Estimate) Unconfirmed() []string {
	keys := map[string]bool{}
	for _, line := range e.Lines {
		if !line.Confirmed {
			keys[line.Key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// Estimate puts prices on a plan. It fails on options that make no sense only: what it has no price for is told in
// the estimate.
func (t *Table) Estimate(planned []Resource, options Options) (Estimate, error) {
	if err := options.Fault(); err != nil {
		return Estimate{}, err
	}
	estimate := Estimate{
		Region: t.Region, Checked: t.Checked(), Run: Duration(options.Run), Lines: []Line{}, Missing: []Missing{}, Free: []Free{},
	}
	planned = slices.Clone(planned)
	slices.SortFunc(planned, func(a, b Resource) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	})
	freeTypes, free := inventory.FreeTypes(), map[string]int{}
	for _, resource := range planned {
		rule, priced := rules[resource.Type]
		switch {
		case priced:
			sheet := &sheet{table: t, options: options, plan: planned, Resource: resource, group: rule.group, estimate: &estimate}
			rule.price(sheet)
		case freeTypes[resource.Type] != "":
			free[resource.Type]++
		default:
			estimate.Missing = append(estimate.Missing, Missing{resource.Name, resource.Type, "no price is known for this type"})
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(free)) {
		estimate.Free = append(estimate.Free, Free{kind, free[kind], freeTypes[kind]})
	}
	slices.SortStableFunc(estimate.Lines, func(a, b Line) int {
		return slices.Index(groups, a.Group) - slices.Index(groups, b.Group)
	})
	for _, line := range estimate.Lines {
		if line.Assumption == "" {
			estimate.Planned = estimate.Planned.Plus(line.Costs)
		} else {
			estimate.Assumed = estimate.Assumed.Plus(line.Costs)
		}
	}
	estimate.Total = estimate.Planned.Plus(estimate.Assumed)
	return estimate, nil
}

// Fault tells everything that is wrong with the options.
func (o Options) Fault() error {
	var faults []error
	if o.Run <= 0 {
		faults = append(faults, fmt.Errorf("a run of %s: it must last some time", o.Run))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Assume)) {
		if _, known := assumption(name); !known {
			faults = append(faults, fmt.Errorf("no assumption is called %q: choose among %s", name, strings.Join(assumptionNames(), ", ")))
		}
	}
	return errors.Join(faults...)
}

// sheet is what a rule writes the bill of one resource on.
type sheet struct {
	Resource
	table    *Table
	options  Options
	plan     []Resource
	group    string
	estimate *Estimate
}

// charge bills a quantity for as long as the resource lives.
func (s *sheet) charge(key, what string, quantity Amount) {
	price, known := s.table.byKey[key]
	kind := units[price.Unit]
	if !known || kind == byUse {
		s.missing(fmt.Sprintf("the price table has no price %s", key))
		return
	}
	perHour := price.USD
	if kind == byMonth {
		perHour = price.USD.Over(HoursPerMonth)
	}
	hour := perHour.Times(quantity)
	s.add(price, what, assumed{}, quantity, Costs{
		Run: hour.Times(price.Billed.hours(s.options.Run)), Hour: hour, Month: hour.Times(Whole(HoursPerMonth)),
	})
}

// assume bills what is assumed to be used, so many times over.
func (s *sheet) assume(name string, times Amount) {
	it, known := assumption(name)
	price, priced := s.table.byKey[it.price]
	if !known || !priced {
		s.missing(fmt.Sprintf("the price table has no price for the assumption %s", name))
		return
	}
	perMonth, given := s.options.Assume[name]
	if !given {
		perMonth, _ = ParseAmount(it.perMonth)
	}
	perMonth = perMonth.Times(times)
	deployment, _ := ParseAmount(it.once)
	once := deployment.Times(times).Times(price.USD)
	month := perMonth.Times(price.USD)
	hour := month.Over(HoursPerMonth)
	s.add(price, it.what, it, perMonth, Costs{
		Run: hour.Times(hours(s.options.Run)).Plus(once), Hour: hour, Month: month.Plus(once),
	})
}

func (s *sheet) add(price Price, what string, from assumed, quantity Amount, costs Costs) {
	if quantity.Zero() && from.name == "" {
		return
	}
	s.estimate.Lines = append(s.estimate.Lines, Line{
		Group: s.group, Resource: s.Name, Type: s.Type, What: what, Quantity: quantity, Unit: price.Unit, Price: price.USD,
		Key: price.Key, Confirmed: price.Confirmed, Assumption: from.name, Why: from.why, Costs: costs,
	})
}

// missing tells that something of the resource has no price.
func (s *sheet) missing(why string) {
	s.estimate.Missing = append(s.estimate.Missing, Missing{s.Name, s.Type, why})
}
