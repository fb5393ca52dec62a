package cost_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tapstack/lib/cost"
)

func TestATableIsReadStrictlyAndAllItsFaultsAreTold(t *testing.T) {
	_, err := cost.ParseTable([]byte(`{
	  "region": "us-east-1", "currency": "EUR", "sources": {"a": {"where": "b"}},
	  "prices": [
	    {"key": "k", "unit": "hour", "usd": "0.1", "page": "https://aws.amazon.com/x/", "sources": ["a"], "checked": "2026-01-01"},
	    {"key": "k", "unit": "fortnight", "usd": "0.1", "page": "https://aws.amazon.com/x/", "sources": ["a"], "checked": "2026-01-01"},
	    {"key": "l", "unit": "GB", "usd": "0", "page": "https://aws.amazon.com/x/", "sources": ["a"], "checked": "2026-01-01"},
	    {"key": "m", "unit": "GB", "usd": "1", "billed": {"step": "1h"}, "page": "https://aws.amazon.com/x/", "sources": ["a"], "checked": "2026-01-01"},
	    {"key": "n", "unit": "GB", "usd": "1", "page": "http://example.com", "sources": ["a"], "checked": "2026-01-01"},
	    {"key": "o", "unit": "GB", "usd": "1", "page": "https://aws.amazon.com/x/", "checked": "2026-01-01"},
	    {"key": "p", "unit": "GB", "usd": "1", "page": "https://aws.amazon.com/x/", "sources": ["z"], "checked": "2026-01-01"},
	    {"key": "q", "unit": "GB", "usd": "1", "page": "https://aws.amazon.com/x/", "sources": ["a"]}
	  ]}`))
	for _, want := range []string{
		"the currency USD", `price "k": billed.step`, `price "k": every price needs a key of its own`, `price "k": unit "fortnight"`,
		`price "l": usd is missing`, `price "m": billed.step`, `price "n": page`, `price "o": sources are missing`,
		`price "p": source "z"`, `price "q": checked is missing`,
	} {
		require.ErrorContains(t, err, want)
	}
	for _, wrong := range []string{
		`{"region": "us-east-1", "currency": "USD", "prices": [{"key": "k", "usd": 0.1}]}`,
		`{"region": "us-east-1", "colour": "green"}`,
		`{"region": "us-east-1", "currency": "USD", "prices": [{"key": "k", "checked": "yesterday"}]}`,
		`nonsense`,
	} {
		_, err := cost.ParseTable([]byte(wrong))
		require.ErrorContains(t, err, "reading the price table", wrong)
	}
}

func TestEveryPriceHasAPageASourceAndADate(t *testing.T) {
	// ParseTable refuses a price without a page of aws.amazon.com, a source and a date: what is left is that they make sense.
	prices := table(t)
	require.Equal(t, "us-east-1", prices.Region)
	used := map[string]bool{}
	for _, price := range prices.Prices {
		for _, source := range price.Sources {
			used[source] = true
		}
		nowhere := price.Sources[0] == "scaled"
		require.Equal(t, !nowhere, price.Confirmed, "%s: confirmed is for what a source was found for", price.Key)
	}
	for source := range prices.Sources {
		require.True(t, used[source], "source %s is used by no price", source)
	}
}

func TestATableIsAsOldAsItsOldestPriceAndGoesStaleAfterHalfAYear(t *testing.T) {
	prices := table(t)
	checked := time.Time(prices.Checked())
	require.False(t, prices.Stale(checked))
	require.False(t, prices.Stale(checked.AddDate(0, 0, 180)))
	require.True(t, prices.Stale(checked.AddDate(0, 0, 181)))

	older := *prices
	older.Prices = append([]cost.Price{}, prices.Prices...)
	older.Prices[len(older.Prices)-1].Checked = cost.Date(checked.AddDate(0, -1, 0))
	require.True(t, older.Stale(checked.AddDate(0, 0, 170)))
}
