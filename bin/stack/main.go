// Command stack is the Pulumi program of the payment platform: what a plain `pulumi up` builds and runs.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tapstack/lib"
)

func main() {
	pulumi.Run(lib.Deploy)
}
