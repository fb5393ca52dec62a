package process

import (
	"os"
	"slices"
	"strings"
)

// basic are the variables that any program may need to run on this machine: where things are, whose they are, and in
// which language to speak.
var basic = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "LANGUAGE", "LC_*", "TZ", "LD_LIBRARY_PATH", "DYLD_*",
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA",
}

// Network are the variables that a program needs which talks with the world outside this machine: proxies, and the
// authorities that its certificates are checked with.
var Network = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC",
}

// Environment is the environment of a program that is started: of this process's own, what any program needs, and the
// variables named. A name that ends with * stands for all that begin like it; case does not matter. What a user's shell has
// for other purposes (tokens, settings of other tools) is not handed on.
func Environment(names ...string) []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return !matches(name, basic) && !matches(name, names)
	})
}

func matches(name string, patterns []string) bool {
	name = strings.ToUpper(name)
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		prefix, open := strings.CutSuffix(pattern, "*")
		return name == pattern || open && strings.HasPrefix(name, prefix)
	})
}
