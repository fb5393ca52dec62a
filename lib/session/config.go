package session

import (
	"context"
	"fmt"
	"maps"
	"os"
	"time"

	"tapstack/lib"
	"tapstack/lib/target"
)

// demoTTL outlasts a demo on AWS, and a clean-up that has to be tried again.
const demoTTL = 6 * time.Hour

// testValues stand in, on emulators, for the keys that have no default.
var testValues = map[string]string{
	lib.ConfigPaymentAPIImage:   "registry.example.com/payment-api:1.0.0",
	lib.ConfigJobProcessorImage: "registry.example.com/job-processor:1.0.0",
	lib.ConfigAlertEmail:        "ops@example.com",
}

// Settings are what a configuration is put together from, besides the suffix.
type Settings struct {
	// Given is what is asked for now.
	Given map[string]string
	// Fresh leaves out what the stack was last deployed with: it is a new one, and is not to stay.
	Fresh bool
	// Assume fills in test values for the keys that have no default.
	Assume bool
	// TTL is how long the stack may stay. 0 leaves that as it is.
	TTL time.Duration
}

// FindRegion takes the region that the stack was deployed in where none is asked for, and refuses another: a stack moves by
// being removed and deployed anew, and what looks at it elsewhere finds nothing.
func (o *Options) FindRegion(ctx context.Context) error {
	deployed, err := o.Location.Setting(ctx, o.Suffix, lib.RegionKey)
	switch {
	case err != nil:
		return err
	case deployed == "" || deployed == o.Target.Place():
		return nil
	case o.Target.Name == target.AWS && o.Target.Region == "":
		o.Target.Region = deployed
		return nil
	}
	return fmt.Errorf("stack %s is in region %s, and %s is asked for: say --region %s, or take another --suffix for a stack in %s",
		o.Suffix, deployed, o.Target.Place(), deployed, o.Target.Place())
}

// Configure puts the configuration together and tells all that is wrong with it. It answers with the test values in it.
func (o *Options) Configure(ctx context.Context, settings Settings) (assumed map[string]string, err error) {
	o.Config = map[string]string{}
	if !settings.Fresh {
		if o.Config, err = o.Location.Config(ctx, o.Suffix); err != nil {
			return nil, err
		}
	}
	delete(o.Config, lib.ConfigAllowReplace) // what was allowed once is not allowed for good
	maps.Copy(o.Config, settings.Given)
	list := os.Getenv(AllowedVariable)
	if list != "" && settings.Given[lib.ConfigAllowedAccountIDs] == "" && o.Target.Name == target.AWS {
		o.Config[lib.ConfigAllowedAccountIDs] = list
	}
	if o.Target.Name == target.AWS && o.Config[lib.ConfigProtect] == "" {
		o.Config[lib.ConfigProtect] = "true"
	}
	assumed = map[string]string{}
	for key, value := range testValues {
		if settings.Assume && o.Config[key] == "" {
			o.Config[key], assumed[key] = value, value
		}
	}
	o.Config[lib.ConfigEnvironmentSuffix] = o.Suffix
	o.stamp(settings)
	_, err = lib.ParseConfig(o.Config)
	return assumed, err
}

// stamp says which run the stack is of, and when it may be swept away. Both stay as they are while the stack lives, since
// they are tags of every resource, unless a new time to live is given.
func (o *Options) stamp(settings Settings) {
	now, ttl := time.Now(), settings.TTL
	if o.Config[lib.ConfigRun] == "" {
		o.Config[lib.ConfigRun] = lib.NewRun(now)
	}
	if settings.Fresh && ttl == 0 && o.Config[lib.ConfigExpires] == "" {
		ttl = demoTTL
	}
	if ttl > 0 {
		o.Config[lib.ConfigExpires] = lib.FormatExpiry(now.Add(ttl))
	}
}
