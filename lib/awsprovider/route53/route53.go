// Package route53 implements the aws:route53 types: hosted zones and records, alias targets included. Reference: the
// Route 53 API and the aws_route53_* resources of the Terraform AWS provider 5.x.
package route53

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"tapstack/lib/awsprovider/resource"
)

// syncTimeout is the official provider's for a change to reach every name server.
const syncTimeout = 30 * time.Minute

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(zone),
		resource.Define(record),
	}
}

// awaitSync waits until a change has reached every name server.
func awaitSync(ctx context.Context, c *resource.Cloud, change *types.ChangeInfo) error {
	if change == nil || change.Status == types.ChangeStatusInsync {
		return nil
	}
	id := bare(change.Id)
	return resource.PollThere(ctx, "DNS change "+id+" is in sync", syncTimeout, func(ctx context.Context) (bool, error) {
		out, err := c.Route53.GetChange(ctx, &route53.GetChangeInput{Id: &id})
		return err == nil && out.ChangeInfo != nil && out.ChangeInfo.Status == types.ChangeStatusInsync, err
	})
}

// bare is an id without the "/hostedzone/" or "/change/" that the API puts in front.
func bare(id *string) string {
	text := aws.ToString(id)
	return text[strings.LastIndex(text, "/")+1:]
}

// normal is a domain name in one form: lower case, without the final dot, without the API's octal escapes.
func normal(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	var out strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+3 < len(name) && octal(name[i+1]) && octal(name[i+2]) && octal(name[i+3]) {
			out.WriteByte((name[i+1]-'0')<<6 | (name[i+2]-'0')<<3 | (name[i+3] - '0'))
			i += 3
			continue
		}
		out.WriteByte(name[i])
	}
	return out.String()
}

func octal(b byte) bool { return b >= '0' && b <= '7' }

// qualified is a record's full name: the program may leave the zone's name out.
func qualified(name, zoneName string) string {
	name, zoneName = normal(name), normal(zoneName)
	switch {
	case name == "":
		return zoneName
	case name == zoneName, strings.HasSuffix(name, "."+zoneName):
		return name
	}
	return name + "." + zoneName
}
