package main

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"tapstack/lib/lifecycle/cli"
	"tapstack/lib/target"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the versions of tap and of what it runs",
		Long: "Prints the version of tap, the revision that it was built from, and the versions of Go, of the Pulumi CLI and of moto that\n" +
			"this build is measured against; tap doctor tells those that it would use here.",
		Example: "  tap version\n  tap version --output json",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.version() },
	}
}

// versions are what a build of tap is made of, and made for.
type versions struct {
	Version string `json:"version"`
	// Revision is empty where the build does not know it.
	Revision string `json:"revision,omitempty"`
	// Modified says that the sources were not those of the revision.
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Pulumi   string `json:"pulumi"`
	Moto     string `json:"moto"`
}

func (a *app) version() error {
	if err := a.options.outputFault(); err != nil {
		return err
	}
	a.started = true
	info, _ := debug.ReadBuildInfo()
	v := versionsOf(info)
	if a.options.output == outputJSON {
		return a.printJSON(v)
	}
	a.print("%s", v)
	return nil
}

// versionsOf reads what the linker noted, which is nothing in some builds.
func versionsOf(info *debug.BuildInfo) versions {
	v := versions{Version: "(devel)", Go: runtime.Version(), Pulumi: cli.Version, Moto: target.MotoVersion}
	if info == nil {
		return v
	}
	v.Version = cmp.Or(info.Main.Version, v.Version)
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}

func (v versions) String() string {
	text := "tap " + v.Version
	if v.Revision != "" {
		text += ", revision " + v.Revision
	}
	if v.Modified {
		text += ", modified"
	}
	return text + "\ngo " + v.Go + "\npulumi " + v.Pulumi + "\nmoto " + v.Moto
}
