package verify

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
)

// configured is a configuration with some keys set, as a stack puts it out.
func configured(keys map[string]string) map[string]any {
	values := map[string]string{
		lib.ConfigEnvironmentSuffix: "dev", lib.ConfigPaymentAPIImage: "payment-api:1", lib.ConfigJobProcessorImage: "job-processor:1",
		lib.ConfigAlertEmail: "ops@example.com",
	}
	maps.Copy(values, keys)
	output := map[string]any{}
	for key, value := range values {
		output[key] = value
	}
	return output
}

func TestTheConfigurationIsWhatTheStackPutsOut(t *testing.T) {
	cfg, err := lib.ParseConfig(map[string]string{
		lib.ConfigEnvironmentSuffix: "dev", lib.ConfigPaymentAPIImage: "payment-api:1", lib.ConfigJobProcessorImage: "job-processor:1",
		lib.ConfigAlertEmail: "ops@example.com", "waf": "false", "apiDesiredCount": "5",
	})
	require.NoError(t, err)
	for _, output := range []any{cfg.Values(), configured(map[string]string{"waf": "false", "apiDesiredCount": "5"})} {
		e := testEnv()
		e.outputs = map[string]any{lib.OutputConfiguration: output}
		got, err := e.configuration()
		require.NoError(t, err)
		assert.Equal(t, cfg, got)
	}
}

func TestAConfigurationThatCannotBeReadIsAnErrorAndNoDefault(t *testing.T) {
	for want, outputs := range map[string]map[string]any{
		`the stack has no output "configuration": deploy it once more`: {},
		`the stack has no output "configuration"`:                      {lib.OutputConfiguration: "waf=false"},
		`holds waf, which is no string`:                                {lib.OutputConfiguration: configuredTo("waf", false)},
		`waf: "no" is not legal`:                                       {lib.OutputConfiguration: configuredTo("waf", "no")},
		`later: not a configuration key`:                               {lib.OutputConfiguration: configuredTo("later", "x")},
	} {
		e := testEnv()
		e.outputs = outputs
		_, err := e.configuration()
		require.ErrorContains(t, err, want)
	}
}

func configuredTo(key string, value any) map[string]any {
	output := configured(nil)
	output[key] = value
	return output
}

func TestFewerTasksThanTheBriefWantsAreNoPass(t *testing.T) {
	for value, off := range map[string]int{"2": 1, "3": 0, "7": 0} {
		e := testEnv()
		e.outputs = map[string]any{lib.OutputConfiguration: configured(map[string]string{"apiDesiredCount": value})}
		cfg, err := e.configuration()
		require.NoError(t, err)
		rec := &recorder{}
		api := serviceKinds()[0]
		least, most := api.tasks(cfg)
		api.fewer(rec, least)
		assert.Equal(t, []int{cfg.APIDesiredCount, cfg.APIMaxCount, off}, []int{int(least), int(most), len(rec.switchedOff)})
	}
}
