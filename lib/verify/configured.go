package verify

import (
	"fmt"

	"tapstack/lib"
)

// This file knows what the stack was configured to be, which decides what the cloud is held to: at least the brief's
// figures where more is legal, and nothing at all of what is switched off.

// configuration is what the stack was deployed with, as it puts out.
func (e *Env) configuration() (lib.Config, error) {
	values := map[string]string{}
	switch output := e.outputs[lib.OutputConfiguration].(type) {
	case map[string]string:
		values = output
	case map[string]any:
		for key, value := range output {
			text, ok := value.(string)
			if !ok {
				return lib.Config{}, fmt.Errorf("the stack's output %q holds %s, which is no string", lib.OutputConfiguration, key)
			}
			values[key] = text
		}
	default:
		return lib.Config{}, fmt.Errorf("the stack has no output %q: deploy it once more with this version", lib.OutputConfiguration)
	}
	cfg, err := lib.ParseConfig(values)
	if err != nil {
		return lib.Config{}, fmt.Errorf("reading the stack's output %q: %w", lib.OutputConfiguration, err)
	}
	return cfg, nil
}

// off notes that the configuration switches off what the check holds the cloud to. Where nothing is wrong, the check is then
// switched off instead of passed.
func (rec *recorder) off(why string) { rec.switchedOff = append(rec.switchedOff, why) }

// tasks are how many of a service the configuration wants at least, and at most.
func (kind serviceKind) tasks(cfg lib.Config) (least, most int32) {
	if kind.name == partPaymentAPI {
		return int32(cfg.APIDesiredCount), int32(cfg.APIMaxCount) //nolint:gosec // at most 500
	}
	return int32(cfg.JobDesiredCount), int32(cfg.JobMaxCount) //nolint:gosec // the same
}

// fewer notes that the configuration wants fewer tasks than the brief does.
func (kind serviceKind) fewer(rec *recorder, least int32) {
	if least < kind.desired {
		rec.off(fmt.Sprintf("%s is configured to %d tasks, the brief wants %d", kind.name, least, kind.desired))
	}
}
