// Command engine builds the Pulumi CLI into the cache folder, unless there is one that tap would use. tap does so itself
// when it first needs it; this lets make do it while tap is compiled.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"tapstack/lib/lifecycle/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	_, _, err := cli.Find(ctx, func(message string) { fmt.Fprintln(os.Stderr, message) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
