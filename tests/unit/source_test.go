package unit_test

import (
	"path/filepath"
	"slices"
	"testing"
)

// The brief wants the whole implementation in one file; the packages below lib only drive and check it.
func TestTheInfrastructureIsOneGoFile(t *testing.T) {
	files, err := filepath.Glob("../../lib/*")
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, file := range files {
		if ext := filepath.Ext(file); ext != "" {
			sources = append(sources, filepath.Base(file))
		}
	}
	if !slices.Equal(sources, []string{"tap_stack.go"}) {
		t.Errorf("package lib is %v, want tap_stack.go alone", sources)
	}
}
