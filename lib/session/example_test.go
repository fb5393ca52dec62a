package session_test

import (
	"context"
	"fmt"
	"log"
	"path/filepath"

	"tapstack/lib"
	"tapstack/lib/lifecycle"
	"tapstack/lib/session"
	"tapstack/lib/target"
)

// A stack on a local cloud of its own, from nothing to nothing.
func Example() {
	options := session.Options{
		Target: target.Options{Name: target.Local}, Suffix: "example",
		Location: lifecycle.InFolder(lib.ProjectName, filepath.Join("state", "local")),
	}
	if _, err := options.Configure(context.Background(), session.Settings{Fresh: true, Assume: true}); err != nil {
		log.Fatal(err)
	}
	s, ctx := session.New(context.Background(), options)
	defer func() { _ = s.Close() }()
	if err := s.OpenNew(ctx); err != nil {
		log.Fatal(err)
	}
	planned, err := s.Preview(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.Up(ctx, planned); err != nil {
		log.Fatal(err)
	}
	report, err := s.Verify(ctx, true)
	fmt.Println(report.Counts, err)
	destroyed, err := s.Destroy(ctx)
	fmt.Println(destroyed, err)
	left, err := s.Prove(ctx)
	fmt.Println(len(left), err)
}
