// Package random implements the pulumi-random v4 types that the stack uses. They live in the state alone; their values
// come from crypto/rand and are secrets.
package random

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"tapstack/lib/awsprovider/resource"
)

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{resource.Define(password), resource.Define(bytes)}
}

// PasswordArgs are the inputs of random:index/randomPassword:RandomPassword. Every change makes a new password.
type PasswordArgs struct {
	Length          int               `pulumi:"length"`
	Special         *bool             `pulumi:"special,optional"`
	Upper           *bool             `pulumi:"upper,optional"`
	Lower           *bool             `pulumi:"lower,optional"`
	Numeric         *bool             `pulumi:"numeric,optional"`
	OverrideSpecial *string           `pulumi:"overrideSpecial,optional"`
	MinSpecial      *int              `pulumi:"minSpecial,optional"`
	MinUpper        *int              `pulumi:"minUpper,optional"`
	MinLower        *int              `pulumi:"minLower,optional"`
	MinNumeric      *int              `pulumi:"minNumeric,optional"`
	Keepers         map[string]string `pulumi:"keepers,optional"`
}

// PasswordState adds the password. The official type's bcryptHash is not implemented.
type PasswordState struct {
	PasswordArgs
	Result string `pulumi:"result" provider:"secret"`
}

// class is one of the four character classes of a password.
type class struct {
	letters string
	wanted  func(*PasswordArgs) **bool
	least   func(*PasswordArgs) **int
}

// classes are as in the Terraform random provider, the special characters included.
var classes = []class{
	{"ABCDEFGHIJKLMNOPQRSTUVWXYZ", func(a *PasswordArgs) **bool { return &a.Upper }, func(a *PasswordArgs) **int { return &a.MinUpper }},
	{"abcdefghijklmnopqrstuvwxyz", func(a *PasswordArgs) **bool { return &a.Lower }, func(a *PasswordArgs) **int { return &a.MinLower }},
	{"0123456789", func(a *PasswordArgs) **bool { return &a.Numeric }, func(a *PasswordArgs) **int { return &a.MinNumeric }},
	{"!@#$%&*()-_=+[]{}<>:?", func(a *PasswordArgs) **bool { return &a.Special }, func(a *PasswordArgs) **int { return &a.MinSpecial }},
}

var password = resource.Description[PasswordArgs, PasswordState]{
	Token: "random:index/randomPassword:RandomPassword",
	Check: func(a *PasswordArgs) []resource.Fault {
		total := 0
		for _, c := range classes {
			if wanted := c.wanted(a); *wanted == nil {
				yes := true
				*wanted = &yes
			}
			if least := c.least(a); *least == nil {
				*least = new(int)
			}
			total += **c.least(a)
		}
		if a.Length > 0 && total > a.Length {
			return []resource.Fault{{Property: "length", Reason: fmt.Sprintf("%d is less than the %d characters that the minima ask for", a.Length, total)}}
		}
		return nil
	},
	Create: func(context.Context, *resource.Cloud, PasswordArgs) (string, error) { return "none", nil },
	Read: func(_ context.Context, _ *resource.Cloud, _ string, s PasswordState) (PasswordState, error) {
		if s.Result != "" {
			return s, nil
		}
		var err error
		s.Result, err = generate(s.PasswordArgs)
		return s, err
	},
	Delete: func(context.Context, *resource.Cloud, string, PasswordState) error { return nil },
	Example: func(resource.Scratch) resource.Example[PasswordArgs] {
		special, two := "!#$", 2
		return resource.Example[PasswordArgs]{Inputs: PasswordArgs{Length: 32, OverrideSpecial: &special, MinSpecial: &two}}
	},
}

// generate draws the least number of each class, fills up from all wanted classes, and shuffles.
func generate(a PasswordArgs) (string, error) {
	var all strings.Builder
	var drawn []byte
	for i, c := range classes {
		letters := c.letters
		if i == len(classes)-1 && a.OverrideSpecial != nil && *a.OverrideSpecial != "" {
			letters = *a.OverrideSpecial
		}
		if !**c.wanted(&a) {
			continue
		}
		all.WriteString(letters)
		for range **c.least(&a) {
			b, err := pick(letters)
			if err != nil {
				return "", err
			}
			drawn = append(drawn, b)
		}
	}
	if all.Len() == 0 {
		return "", errors.New("no class of characters is wanted")
	}
	for len(drawn) < a.Length {
		b, err := pick(all.String())
		if err != nil {
			return "", err
		}
		drawn = append(drawn, b)
	}
	for i := len(drawn) - 1; i > 0; i-- {
		j, err := below(i + 1)
		if err != nil {
			return "", err
		}
		drawn[i], drawn[j] = drawn[j], drawn[i]
	}
	return string(drawn), nil
}

func pick(letters string) (byte, error) {
	i, err := below(len(letters))
	if err != nil {
		return 0, err
	}
	return letters[i], nil
}

// below is a uniform number from 0 to n-1.
func below(n int) (int, error) {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		return 0, err
	}
	return int(v.Int64()), nil
}

// BytesArgs are the inputs of random:index/randomBytes:RandomBytes. Every change makes new bytes.
type BytesArgs struct {
	Length  int               `pulumi:"length"`
	Keepers map[string]string `pulumi:"keepers,optional"`
}

// BytesState adds the bytes, in two encodings.
type BytesState struct {
	BytesArgs
	Base64 string `pulumi:"base64" provider:"secret"`
	Hex    string `pulumi:"hex" provider:"secret"`
}

var bytes = resource.Description[BytesArgs, BytesState]{
	Token: "random:index/randomBytes:RandomBytes",
	Check: func(a *BytesArgs) []resource.Fault {
		if a.Length < 0 {
			return []resource.Fault{{Property: "length", Reason: "must be at least 1"}}
		}
		return nil
	},
	Create: func(context.Context, *resource.Cloud, BytesArgs) (string, error) { return "none", nil },
	Read: func(_ context.Context, _ *resource.Cloud, _ string, s BytesState) (BytesState, error) {
		if s.Hex != "" {
			return s, nil
		}
		drawn := make([]byte, s.Length)
		if _, err := rand.Read(drawn); err != nil {
			return s, err
		}
		s.Base64, s.Hex = base64.StdEncoding.EncodeToString(drawn), hex.EncodeToString(drawn)
		return s, nil
	},
	Delete: func(context.Context, *resource.Cloud, string, BytesState) error { return nil },
	Example: func(resource.Scratch) resource.Example[BytesArgs] {
		return resource.Example[BytesArgs]{Inputs: BytesArgs{Length: 32}}
	},
}
