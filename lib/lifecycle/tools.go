package lifecycle

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"tapstack/lib/cache"
)

// lookTimeout bounds each look at something outside this machine.
const lookTimeout = 5 * time.Second

// Plugin says where an official provider plugin is.
type Plugin struct {
	Name, Version string
	// Dir is where the engine looks for it, in the cache, and Present whether it is there.
	Dir     string
	Present bool
	// Archive is what the engine downloads where it is not, and Reachable whether that can be had.
	Archive   string
	Reachable bool
}

// LookForPlugin looks for an official plugin here, and where the engine would get it.
func LookForPlugin(ctx context.Context, name, version string) (Plugin, error) {
	dir, err := cache.Dir()
	if err != nil {
		return Plugin{}, err
	}
	plugin := Plugin{
		Name: name, Version: version, Dir: filepath.Join(dir, "plugins", "resource-"+name+"-"+version),
		Archive: fmt.Sprintf("https://get.pulumi.com/releases/plugins/pulumi-resource-%s-%s-%s-%s.tar.gz", name, version, runtime.GOOS, runtime.GOARCH),
	}
	if info, err := os.Stat(plugin.Dir); err == nil && info.IsDir() {
		plugin.Present = true
		return plugin, nil
	}
	plugin.Reachable = Reachable(ctx, plugin.Archive)
	return plugin, nil
}

// Reachable says whether an address answers at all, whatever it says.
func Reachable(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil
}
