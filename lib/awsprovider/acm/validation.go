package acm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"

	"tapstack/lib/awsprovider/resource"
)

// issueTimeout is the official provider's: ACM may take that long to see the records.
const issueTimeout = 75 * time.Minute

// ValidationArgs are the inputs of aws:acm/certificateValidation:CertificateValidation.
type ValidationArgs struct {
	CertificateArn        string   `pulumi:"certificateArn" aws:"forcenew"`
	ValidationRecordFqdns []string `pulumi:"validationRecordFqdns,optional" aws:"forcenew,set,writeonly"`
}

// ValidationState is its state; the id is the time at which the certificate was issued.
type ValidationState struct{ ValidationArgs }

var certificateValidation = resource.Description[ValidationArgs, ValidationState]{
	Token: "aws:acm/certificateValidation:CertificateValidation",
	Create: func(ctx context.Context, c *resource.Cloud, a ValidationArgs) (string, error) {
		cert, err := describe(ctx, c, a.CertificateArn)
		if err != nil {
			return "", err
		}
		if cert.Type != types.CertificateTypeAmazonIssued {
			return "", fmt.Errorf("certificate %s is %s, and only a certificate issued by ACM is validated", a.CertificateArn, cert.Type)
		}
		if missing := missingRecords(cert, a.ValidationRecordFqdns); len(missing) > 0 {
			return "", fmt.Errorf("validationRecordFqdns lacks %s", strings.Join(missing, ", "))
		}
		return awaitIssued(ctx, c, a.CertificateArn)
	},
	Read: func(ctx context.Context, c *resource.Cloud, _ string, prior ValidationState) (ValidationState, error) {
		cert, err := describe(ctx, c, prior.CertificateArn)
		if err == nil && cert.Status != types.CertificateStatusIssued {
			err = resource.ErrNotFound
		}
		return prior, err
	},
	Update: func(context.Context, *resource.Cloud, string, ValidationState, ValidationArgs) error {
		return nil // every input forces a new one
	},
	Delete: func(context.Context, *resource.Cloud, string, ValidationState) error {
		return nil // it is a wait, and nothing in the cloud
	},
	Example: func(x resource.Scratch) resource.Example[ValidationArgs] {
		cert := x.Make("aws:acm/certificate:Certificate", map[string]any{
			"domainName": x.Name("validated") + ".example.com", "validationMethod": "DNS",
		})
		var names []string
		if options, ok := cert.Outputs["domainValidationOptions"].([]any); ok {
			for _, o := range options {
				if option, ok := o.(map[string]any); ok {
					names = append(names, fmt.Sprint(option["resourceRecordName"]))
				}
			}
		}
		return resource.Example[ValidationArgs]{
			Silent: "a validation is a wait: deleting it leaves the certificate issued",
			Inputs: ValidationArgs{CertificateArn: cert.ID, ValidationRecordFqdns: names},
		}
	},
}

// awaitIssued waits for the certificate and returns when it was issued.
func awaitIssued(ctx context.Context, c *resource.Cloud, arn string) (string, error) {
	var issued time.Time
	err := resource.Poll(ctx, "certificate "+arn+" is issued", issueTimeout, func(ctx context.Context) (bool, error) {
		cert, err := describe(ctx, c, arn)
		if err != nil {
			return false, err
		}
		issued = aws.ToTime(cert.IssuedAt)
		switch cert.Status {
		case types.CertificateStatusIssued:
			return true, nil
		case types.CertificateStatusPendingValidation:
			return false, nil
		}
		return false, fmt.Errorf("its status is %s %s", cert.Status, cert.FailureReason)
	})
	if err != nil {
		return "", err
	}
	return issued.UTC().String(), nil
}

// missingRecords is the validation records of the certificate that the program does not name. Naming none means not to
// check.
func missingRecords(cert *types.CertificateDetail, fqdns []string) []string {
	if len(fqdns) == 0 {
		return nil
	}
	normal := func(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }
	var given, missing []string
	for _, f := range fqdns {
		given = append(given, normal(f))
	}
	for _, o := range validationOptions(cert) {
		if name := normal(o.ResourceRecordName); !slices.Contains(given, name) {
			missing = append(missing, name)
		}
	}
	return missing
}
