package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tapstack/lib"
	"tapstack/lib/printable"
	"tapstack/lib/session"
)

func (a *app) outputsCommand() *cobra.Command {
	return a.does(&cobra.Command{
		Use: "outputs", Short: "Print the outputs of the deployed stack",
		Long:    "Prints the outputs of the deployed stack. None of them is secret.",
		Example: "  tap outputs\n  tap outputs --output json | jq -r .apiUrl",
	}, always(needs{}), a.outputs)
}

func (a *app) outputs(ctx context.Context, s *session.Session, r *request) error {
	if err := s.OpenState(ctx); err != nil {
		return r.explain(err)
	}
	outputs, err := s.Outputs(ctx)
	if err != nil {
		return err
	}
	if r.json {
		return a.printJSON(outputs)
	}
	a.printOutputs(outputs)
	line, err := clientLine(ctx, s, outputs)
	if line != "" {
		a.print("\nAsk it with: %s", line)
	}
	return err
}

// clientLine is how a client on this machine asks a stack whose load balancer the data plane is; empty where there is none.
func clientLine(ctx context.Context, s *session.Session, outputs map[string]any) (string, error) {
	if err := s.FindPlane(); err != nil || s.Plane == nil {
		return "", err
	}
	status, err := s.Plane.Status(ctx)
	address, _ := outputs[lib.OutputAPIURL].(string)
	parsed, failed := url.Parse(address)
	if err != nil || failed != nil || status.LoadBalancer == nil {
		return "", err
	}
	// The certificate of a stack without a domain is signed by itself.
	return fmt.Sprintf("curl --insecure --connect-to %s:443:%s %s", parsed.Hostname(), status.LoadBalancer.Addresses[443], parsed.JoinPath("health")), nil
}

func (a *app) printOutputs(outputs map[string]any) {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		switch value := outputs[name].(type) {
		case []any:
			_, _ = fmt.Fprintf(table, "%s\t%s\n", name, printable.Text(strings.Trim(fmt.Sprint(value), "[]")))
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				_, _ = fmt.Fprintf(table, "%s.%s\t%s\n", name, printable.Text(key), printable.Text(fmt.Sprint(value[key])))
			}
		default:
			_, _ = fmt.Fprintf(table, "%s\t%s\n", name, printable.Text(fmt.Sprint(value)))
		}
	}
	_ = table.Flush()
}
