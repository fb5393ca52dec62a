// Command portable type-checks the whole tree, tests included, for macOS and Windows as well, so that nothing slips in that
// compiles on Linux only. go vet would do, but compiles every dependency for each system first, which takes minutes; types
// are known in seconds.
package main

import (
	"fmt"
	"os"

	"golang.org/x/tools/go/packages"
)

func main() {
	failed := false
	for _, system := range []string{"darwin", "windows"} {
		for _, fault := range check(system) {
			fmt.Fprintln(os.Stderr, system+": "+fault)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// check answers with what does not compile on a system.
func check(system string) []string {
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
			packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesSizes,
		Env:   append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0"),
		Tests: true,
	}, "./...")
	if err != nil {
		return []string{err.Error()}
	}
	var faults []string
	packages.Visit(loaded, nil, func(p *packages.Package) {
		for _, fault := range p.Errors {
			faults = append(faults, fault.Error())
		}
	})
	return faults
}
