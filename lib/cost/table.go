package cost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"time"
)

// HoursPerMonth is the length of the month that AWS's own price pages reckon with.
const HoursPerMonth = 730

// staleAfter is the age at which a table is to be looked up again.
const staleAfter = 180 * 24 * time.Hour

// basis is what a unit is counted by.
type basis int

const (
	byHour  basis = iota + 1 // the price is for an hour of it
	byMonth                  // the price is for a month of it
	byUse                    // the price is for each that is used up: only assumptions know how many
)

// units are those that a price may have.
var units = map[string]basis{
	"hour": byHour, "vCPU-hour": byHour, "GB-hour": byHour,
	"month": byMonth,
	"GB":    byUse, "GB-month": byUse, "LCU-hour": byUse, "million requests": byUse, "10k requests": byUse,
	"thousand requests": byUse, "thousand messages": byUse,
}

// Price is one list price.
type Price struct {
	Key  string `json:"key"`
	Unit string `json:"unit"`
	USD  Amount `json:"usd"`
	// Billed says how a time is rounded for the bill, where the unit is one of time.
	Billed *Billed `json:"billed,omitempty"`
	// Free is what AWS gives for nothing, to an account as a whole. No estimate takes it off: something else may use it up.
	Free string `json:"free,omitempty"`
	Note string `json:"note,omitempty"`
	// Page is the AWS page that lists the price; Sources are the keys of what it was held against, on the day Checked.
	Page    string   `json:"page"`
	Sources []string `json:"sources"`
	Checked Date     `json:"checked"`
	// Confirmed is false for a price that no public source was found for.
	Confirmed bool `json:"confirmed"`
}

// Billed rounds a time up to whole steps, after raising it to the minimum.
type Billed struct {
	Step    Duration `json:"step"`
	Minimum Duration `json:"minimum,omitempty"`
}

// hours is the time that is billed for an elapsed one.
func (b *Billed) hours(elapsed time.Duration) Amount {
	step := time.Duration(b.Step)
	elapsed = max(elapsed, time.Duration(b.Minimum))
	steps := (elapsed + step - 1) / step
	return hours(steps * step)
}

func hours(d time.Duration) Amount { return Amount{big.NewRat(int64(d), int64(time.Hour))} }

// Source is where prices were looked up.
type Source struct {
	Where string `json:"where"`
	// Dated is the date that the source gives itself, if any.
	Dated string `json:"dated,omitempty"`
}

// Table is the price list of a region.
type Table struct {
	Region   string            `json:"region"`
	Currency string            `json:"currency"`
	Sources  map[string]Source `json:"sources"`
	Prices   []Price           `json:"prices"`
	byKey    map[string]Price
}

// ParseTable reads a price list and tells all that is wrong with it.
func ParseTable(data []byte) (*Table, error) {
	table := &Table{byKey: map[string]Price{}}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(table); err != nil {
		return nil, fmt.Errorf("reading the price table: %w", err)
	}
	var faults []error
	if table.Region == "" || table.Currency != "USD" || len(table.Prices) == 0 {
		faults = append(faults, errors.New("the price table needs a region, the currency USD and prices"))
	}
	for _, price := range table.Prices {
		if _, twice := table.byKey[price.Key]; twice || price.Key == "" {
			faults = append(faults, fmt.Errorf("price %q: every price needs a key of its own", price.Key))
		}
		if err := table.fault(price); err != nil {
			faults = append(faults, fmt.Errorf("price %q: %w", price.Key, err))
		}
		table.byKey[price.Key] = price
	}
	return table, errors.Join(faults...)
}

func (t *Table) fault(price Price) error {
	kind := units[price.Unit]
	timed := kind == byHour || kind == byMonth
	page, err := url.Parse(price.Page)
	switch {
	case kind == 0:
		return fmt.Errorf("unit %q is not known", price.Unit)
	case price.USD.Zero():
		return errors.New("usd is missing")
	case timed != (price.Billed != nil && price.Billed.Step > 0):
		return errors.New("billed.step is for prices by the hour or month, which need it")
	case err != nil || page.Scheme != "https" || page.Host != "aws.amazon.com":
		return fmt.Errorf("page %q is no page of aws.amazon.com", price.Page)
	case len(price.Sources) == 0:
		return errors.New("sources are missing")
	case time.Time(price.Checked).IsZero():
		return errors.New("checked is missing")
	}
	for _, source := range price.Sources {
		if t.Sources[source].Where == "" {
			return fmt.Errorf("source %q is not among the table's sources", source)
		}
	}
	return nil
}

// Checked is the day on which the price that was longest left alone was last looked up.
func (t *Table) Checked() Date {
	age := func(a, b Price) int { return time.Time(a.Checked).Compare(time.Time(b.Checked)) }
	return slices.MinFunc(t.Prices, age).Checked
}

// Stale says whether the prices are so old that they should be looked up again.
func (t *Table) Stale(now time.Time) bool {
	return now.Sub(time.Time(t.Checked())) > staleAfter
}

// Date is a day, in UTC.
type Date time.Time

// String is the day as in 2026-11-24.
func (d Date) String() string { return time.Time(d).Format(time.DateOnly) }

// MarshalText writes the day as String does.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a day such as 2026-11-24.
func (d *Date) UnmarshalText(text []byte) error {
	day, err := time.Parse(time.DateOnly, string(text))
	*d = Date(day)
	return err
}

// Duration is a time that JSON has as 1h30m.
type Duration time.Duration

// MarshalText writes the duration as Go does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration as Go does.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}
