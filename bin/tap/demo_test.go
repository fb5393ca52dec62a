package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestADemoThatCouldNotLookDoesNotSayThatNothingIsLeft(t *testing.T) {
	for _, c := range []struct {
		name    string
		summary summary
		want    string
	}{
		{"nobody was asked", summary{}, "; what is left is not known;"},
		{"nothing is left", summary{Proven: true}, "; 0 resources left;"},
		{"something is left", summary{Proven: true, Left: []string{"VPC vpc-1"}}, "; 1 resource left;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			(&app{stdout: printed(&out)}).printSummary(&c.summary, time.Second)
			assert.Contains(t, out.String(), c.want)
		})
	}
}
