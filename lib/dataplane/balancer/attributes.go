package balancer

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// attributes are those of a load balancer. Defaults: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
type attributes struct {
	idle, keepAlive                                       time.Duration
	http2, dropInvalid, preserveHost, tlsHeaders, xffPort bool
	accessLog                                             bool
	xff, desync                                           string
}

func readAttributes(told map[string]string) (attributes, error) {
	r := reader{told: told}
	a := attributes{
		idle:         r.seconds("idle_timeout.timeout_seconds", 60),
		keepAlive:    r.seconds("client_keep_alive.seconds", 3600),
		http2:        r.flag("routing.http2.enabled", true),
		dropInvalid:  r.flag("routing.http.drop_invalid_header_fields.enabled", false),
		preserveHost: r.flag("routing.http.preserve_host_header.enabled", false),
		tlsHeaders:   r.flag("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", false),
		xffPort:      r.flag("routing.http.xff_client_port.enabled", false),
		accessLog:    r.flag("access_logs.s3.enabled", false),
		xff:          r.choice("routing.http.xff_header_processing.mode", "append", "preserve", "remove"),
		desync:       r.choice("routing.http.desync_mitigation_mode", "defensive", "monitor", "strictest"),
	}
	return a, errors.Join(r.problems...)
}

// reader reads attributes, with defaults for what is missing, and gathers what it cannot read.
type reader struct {
	told     map[string]string
	problems []error
}

func (r *reader) bad(name string) {
	r.problems = append(r.problems, fmt.Errorf("attribute %s has a value that is not supported: %q", name, r.told[name]))
}

func (r *reader) seconds(name string, standard int) time.Duration {
	return time.Duration(r.number(name, standard)) * time.Second
}

func (r *reader) number(name string, standard int) int {
	value := r.told[name]
	if value == "" || value == "off" {
		return standard
	}
	number, err := strconv.Atoi(value)
	if err != nil || number < 0 {
		r.bad(name)
	}
	return number
}

func (r *reader) flag(name string, standard bool) bool {
	if r.told[name] == "" {
		return standard
	}
	flag, err := strconv.ParseBool(r.told[name])
	if err != nil {
		r.bad(name)
	}
	return flag
}

// choice is the value of an attribute that has the first of the values unless told otherwise.
func (r *reader) choice(name string, values ...string) string {
	value := r.told[name]
	if value == "" {
		return values[0]
	}
	for _, each := range values {
		if value == each {
			return value
		}
	}
	r.bad(name)
	return values[0]
}
