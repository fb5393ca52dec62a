package cost

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// Amount is an exact number: of dollars, or of what they buy. The zero Amount is 0.
type Amount struct{ value *big.Rat }

// Whole is n.
func Whole(n int) Amount { return Amount{big.NewRat(int64(n), 1)} }

// ParseAmount reads a decimal such as 0.00356, which must not be negative.
func ParseAmount(text string) (Amount, error) {
	value, ok := new(big.Rat).SetString(text)
	if !ok || value.Sign() < 0 || strings.ContainsAny(text, "/eExXpP_") {
		return Amount{}, fmt.Errorf("%q is not a decimal number from 0 up", text)
	}
	return Amount{value}, nil
}

func (a Amount) rat() *big.Rat {
	if a.value == nil {
		return new(big.Rat)
	}
	return a.value
}

// Plus is a + b.
func (a Amount) Plus(b Amount) Amount { return Amount{new(big.Rat).Add(a.rat(), b.rat())} }

// Minus is a − b.
func (a Amount) Minus(b Amount) Amount { return Amount{new(big.Rat).Sub(a.rat(), b.rat())} }

// Times is a × b.
func (a Amount) Times(b Amount) Amount { return Amount{new(big.Rat).Mul(a.rat(), b.rat())} }

// Over is a ÷ n. n must not be 0.
func (a Amount) Over(n int) Amount { return a.per(Whole(n)) }

// per is a ÷ b. b must not be 0.
func (a Amount) per(b Amount) Amount { return Amount{new(big.Rat).Quo(a.rat(), b.rat())} }

// Cmp is negative, 0 or positive as a is less than, equal to or more than b.
func (a Amount) Cmp(b Amount) int { return a.rat().Cmp(b.rat()) }

// Zero says whether a is 0.
func (a Amount) Zero() bool { return a.rat().Sign() == 0 }

// Fixed writes a with so many decimals, rounded half away from zero.
func (a Amount) Fixed(decimals int) string { return a.rat().FloatString(decimals) }

// jsonDecimals is the precision of amounts in JSON: a millionth of a dollar.
const jsonDecimals = 6

// String writes a with as many decimals as it needs, at most jsonDecimals.
func (a Amount) String() string {
	text := a.Fixed(jsonDecimals)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// MarshalJSON writes a decimal number.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalJSON reads a decimal in quotes, lest a reader on the way make a binary fraction of it.
func (a *Amount) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("an amount must be a decimal in quotes: %w", err)
	}
	parsed, err := ParseAmount(text)
	*a = parsed
	return err
}
