package acm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/awsprovider/selfsigned"
	"tapstack/lib/cloud"
)

// The official provider's time-outs. What used the certificate lets go of it some time after it is gone.
const (
	validationOptionsTimeout = 5 * time.Minute
	inUseTimeout             = 20 * time.Minute
	settle                   = 2 * time.Minute
)

// CertificateArgs are the inputs of aws:acm/certificate:Certificate: certificateBody and privateKey for an imported one,
// domainName and validationMethod for a requested one.
type CertificateArgs struct {
	resource.Tagged
	CertificateBody  *string `pulumi:"certificateBody,optional"`
	PrivateKey       *string `pulumi:"privateKey,optional" aws:"writeonly" provider:"secret"`
	DomainName       *string `pulumi:"domainName,optional" aws:"forcenew,computed"`
	ValidationMethod *string `pulumi:"validationMethod,optional" aws:"forcenew,computed"`
}

// CertificateState is the state of aws:acm/certificate:Certificate; its id is the ARN.
type CertificateState struct {
	CertificateArgs
	resource.AllTags
	Arn                     string              `pulumi:"arn"`
	Type                    string              `pulumi:"type"`
	Status                  string              `pulumi:"status"`
	KeyAlgorithm            string              `pulumi:"keyAlgorithm"`
	NotBefore               string              `pulumi:"notBefore,optional"`
	NotAfter                string              `pulumi:"notAfter,optional"`
	RenewalEligibility      string              `pulumi:"renewalEligibility"`
	SubjectAlternativeNames []string            `pulumi:"subjectAlternativeNames,optional"`
	Options                 *certificateOptions `pulumi:"options,optional"`
	DomainValidationOptions []validationOption  `pulumi:"domainValidationOptions,optional"`
}

// certificateOptions says whether a certificate is logged publicly.
type certificateOptions struct {
	CertificateTransparencyLoggingPreference string `pulumi:"certificateTransparencyLoggingPreference"`
}

// validationOption is the DNS record that proves the ownership of a domain.
type validationOption struct {
	DomainName          string `pulumi:"domainName"`
	ResourceRecordName  string `pulumi:"resourceRecordName"`
	ResourceRecordType  string `pulumi:"resourceRecordType"`
	ResourceRecordValue string `pulumi:"resourceRecordValue"`
}

var certificate = resource.Description[CertificateArgs, CertificateState]{
	Token: "aws:acm/certificate:Certificate",
	Check: func(a *CertificateArgs) []resource.Fault {
		var faults []resource.Fault
		if a.CertificateBody != nil && a.ValidationMethod != nil {
			faults = append(faults, resource.Fault{Property: "validationMethod", Reason: "an imported certificate needs no validation"})
		}
		if m := aws.ToString(a.ValidationMethod); m != "" && m != "DNS" {
			faults = append(faults, resource.Fault{Property: "validationMethod", Reason: fmt.Sprintf(
				"the local provider implements DNS validation only, not %q; use --provider official", m)})
		}
		return faults
	},
	Create: func(ctx context.Context, c *resource.Cloud, a CertificateArgs) (string, error) {
		if a.CertificateBody != nil {
			return importCertificate(ctx, c, nil, a)
		}
		return requestCertificate(ctx, c, a)
	},
	Read: readCertificate,
	Update: func(ctx context.Context, c *resource.Cloud, arn string, old CertificateState, a CertificateArgs) error {
		if changed(old.CertificateBody, a.CertificateBody) || changed(old.PrivateKey, a.PrivateKey) {
			if _, err := importCertificate(ctx, c, &arn, a); err != nil {
				return fmt.Errorf("importing the new certificate: %w", err)
			}
		}
		tags, err := readTags(ctx, c, arn) // not the old state's: a re-import must not lose any
		if err != nil {
			return err
		}
		return updateTags(ctx, c, arn, tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, arn string, _ CertificateState) error {
		err := resource.Poll(ctx, "certificate "+arn+" is out of use and deleted", inUseTimeout, func(ctx context.Context) (bool, error) {
			_, err := c.ACM.DeleteCertificate(ctx, &acm.DeleteCertificateInput{CertificateArn: &arn})
			if cloud.HasCode(err, "ResourceInUseException") {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "certificate "+arn, settle, func(ctx context.Context) error {
			_, err := describe(ctx, c, arn)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[CertificateArgs] {
		first, second := imported(x), imported(x)
		first.Tags = map[string]string{"Name": "certificate"}
		return resource.Example[CertificateArgs]{
			Inputs: first,
			Changes: []resource.Change[CertificateArgs]{
				{Name: "certificate", Apply: func(a *CertificateArgs) {
					a.CertificateBody, a.PrivateKey = second.CertificateBody, second.PrivateKey
				}},
				{Name: "tags", Apply: func(a *CertificateArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func importCertificate(ctx context.Context, c *resource.Cloud, arn *string, a CertificateArgs) (string, error) {
	in := &acm.ImportCertificateInput{
		CertificateArn: arn, Certificate: []byte(aws.ToString(a.CertificateBody)), PrivateKey: []byte(aws.ToString(a.PrivateKey)),
	}
	if arn == nil { // a re-import may not carry tags (ACM API reference, ImportCertificate)
		in.Tags = tagList(a.Tags)
	}
	out, err := c.ACM.ImportCertificate(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.CertificateArn), nil
}

// requestCertificate asks for a certificate and waits until ACM says which records prove the domain's ownership.
func requestCertificate(ctx context.Context, c *resource.Cloud, a CertificateArgs) (string, error) {
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return "", fmt.Errorf("making an idempotency token: %w", err)
	}
	out, err := c.ACM.RequestCertificate(ctx, &acm.RequestCertificateInput{
		DomainName: a.DomainName, ValidationMethod: types.ValidationMethod(aws.ToString(a.ValidationMethod)),
		IdempotencyToken: aws.String(hex.EncodeToString(token)), Tags: tagList(a.Tags),
	})
	if err != nil {
		return "", err
	}
	arn := aws.ToString(out.CertificateArn)
	what := "certificate " + arn + " shows its validation records"
	return arn, resource.PollThere(ctx, what, validationOptionsTimeout, func(ctx context.Context) (bool, error) {
		cert, err := describe(ctx, c, arn)
		if err != nil {
			return false, err
		}
		if cert.Status == types.CertificateStatusFailed {
			return false, fmt.Errorf("ACM refused the request: %s", cert.FailureReason)
		}
		options := validationOptions(cert)
		return len(options) > 0 && len(options) == len(cert.DomainValidationOptions), nil
	})
}

func readCertificate(ctx context.Context, c *resource.Cloud, arn string, prior CertificateState) (CertificateState, error) {
	cert, err := describe(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	if cert.Status == types.CertificateStatusValidationTimedOut {
		return prior, resource.ErrNotFound // it can never become valid, and the official provider makes a new one
	}
	tags, err := readTags(ctx, c, arn)
	if err != nil {
		return prior, err
	}
	s := prior
	s.Arn, s.Type, s.DomainName = arn, string(cert.Type), cert.DomainName
	s.Status, s.KeyAlgorithm, s.RenewalEligibility = string(cert.Status), string(cert.KeyAlgorithm), string(cert.RenewalEligibility)
	s.NotBefore, s.NotAfter = written(cert.NotBefore), written(cert.NotAfter)
	s.SubjectAlternativeNames = slices.Sorted(slices.Values(cert.SubjectAlternativeNames))
	s.Options = nil
	if o := cert.Options; o != nil {
		s.Options = &certificateOptions{string(o.CertificateTransparencyLoggingPreference)} //nolint:staticcheck // AWS and the official provider still tell it
	}
	s.DomainValidationOptions = validationOptions(cert)
	s.ValidationMethod = nil
	for _, o := range cert.DomainValidationOptions {
		if o.ValidationMethod != "" {
			s.ValidationMethod = aws.String(string(o.ValidationMethod))
		}
	}
	if cert.Type == types.CertificateTypeImported {
		s.ValidationMethod = aws.String("NONE")
		out, err := c.ACM.GetCertificate(ctx, &acm.GetCertificateInput{CertificateArn: &arn})
		if err != nil {
			return prior, fmt.Errorf("reading the certificate's body: %w", err)
		}
		if body := aws.ToString(out.Certificate); strings.TrimSpace(body) != strings.TrimSpace(aws.ToString(prior.CertificateBody)) {
			s.CertificateBody = &body
		}
	}
	s.Tags, s.TagsAll = tags, tags
	return s, nil
}

// validationOptions is the records that ACM has told so far, by domain.
func validationOptions(cert *types.CertificateDetail) []validationOption {
	options := []validationOption{}
	for _, o := range cert.DomainValidationOptions {
		if r := o.ResourceRecord; r != nil {
			options = append(options, validationOption{
				DomainName: aws.ToString(o.DomainName), ResourceRecordName: aws.ToString(r.Name),
				ResourceRecordType: string(r.Type), ResourceRecordValue: aws.ToString(r.Value),
			})
		}
	}
	slices.SortFunc(options, func(a, b validationOption) int { return strings.Compare(a.DomainName, b.DomainName) })
	return options
}

// written is a time as the official provider writes it, "" where there is none.
func written(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339)
}

func changed(old, now *string) bool {
	return strings.TrimSpace(aws.ToString(old)) != strings.TrimSpace(aws.ToString(now))
}

// imported is an example's certificate to import.
func imported(x resource.Scratch) CertificateArgs {
	body, key, err := selfsigned.New(x.Name("certificate") + ".example.com")
	if err != nil {
		body = err.Error() // the API refuses it, and the conformance test shows it
	}
	return CertificateArgs{CertificateBody: &body, PrivateKey: &key}
}
