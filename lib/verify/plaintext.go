package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// This file asks without TLS what is allowed with it. Of the services whose resource policies speak of TLS, SQS and S3
// listen on plain HTTP; Secrets Manager does not, and SNS does, but its topic's policy refuses Publish only, which cannot
// be tried without publishing (protocols of the services: endpoints.json of the AWS SDKs).
//
// A request without TLS shows its signature to whoever listens, who may repeat it for a few minutes over TLS: so each is a
// read that tells no secret, and the checks count as acting.

// unencryptedRead reads one thing of a service that a resource policy guards. Options go to the call.
type unencryptedRead struct {
	service string
	targets func(ctx context.Context, e *Env) (map[string]string, error) // what to read, by ARN
	read    func(ctx context.Context, e *Env, target string, option func(*middleware.Stack) error) error
}

var unencryptedQueueRead = unencryptedRead{
	service: "SQS",
	targets: func(ctx context.Context, e *Env) (map[string]string, error) {
		addresses := map[string]string{}
		for _, output := range []string{lib.OutputQueueURL, lib.OutputDlqURL} {
			a, err := e.queue(ctx, output)
			if err != nil {
				return nil, err
			}
			if addresses[a["QueueArn"]], err = e.output(output); err != nil {
				return nil, err
			}
		}
		return addresses, nil
	},
	read: func(ctx context.Context, e *Env, target string, option func(*middleware.Stack) error) error {
		_, err := e.cloud.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &target, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
		}, func(o *sqs.Options) {
			o.APIOptions, o.Retryer = append(o.APIOptions, option), aws.NopRetryer{}
		})
		return err
	},
}

var unencryptedBucketRead = unencryptedRead{
	service: "S3",
	targets: func(ctx context.Context, e *Env) (map[string]string, error) {
		name, err := e.bucket(ctx)
		return map[string]string{e.bucketARN(ctx, name): name}, err
	},
	read: func(ctx context.Context, e *Env, target string, option func(*middleware.Stack) error) error {
		_, err := e.cloud.S3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &target}, func(o *s3.Options) {
			o.APIOptions, o.Retryer = append(o.APIOptions, option), aws.NopRetryer{}
		})
		return err
	},
}

func plainTextChecks() []Check {
	check := func(id, says string, r unencryptedRead) Check {
		return Check{
			ID: id, Says: "All data encryption at rest and in transit: " + says, PCI: []string{"4.2.1"},
			Needs: []Capability{r.capability()}, Acts: true, Run: recorded(r.refused),
		}
	}
	return []Check{
		check("queue.refuses-plain-text", "SQS refuses to tell of either queue without TLS what it tells over TLS", unencryptedQueueRead),
		check("bucket.refuses-plain-text", "S3 refuses to tell of the access logs' bucket without TLS what it tells over TLS", unencryptedBucketRead),
	}
}

// capability: where the API itself has no TLS, nothing can be refused for the want of it.
func (r unencryptedRead) capability() Capability {
	return Capability{
		Name:   r.service + ".tls",
		Reason: r.service + " itself is served without TLS here, so that it cannot refuse anything for want of it",
		Probe: func(ctx context.Context, e *Env) (bool, error) {
			targets, err := r.targets(ctx, e)
			if err != nil {
				return false, err
			}
			var asked url.URL
			for _, target := range targets {
				if err := r.read(ctx, e, target, overScheme("", &asked)); err != nil {
					return false, err
				}
			}
			return asked.Scheme == "https", nil
		},
	}
}

func (r unencryptedRead) refused(ctx context.Context, e *Env, rec *recorder) error {
	targets, err := r.targets(ctx, e)
	if err != nil {
		return err
	}
	for _, arn := range slices.Sorted(maps.Keys(targets)) {
		x, target := rec.on(arn), targets[arn]
		var asked url.URL
		if err := r.read(ctx, e, target, overScheme("", &asked)); err != nil {
			return fmt.Errorf("reading %s over TLS: %w", target, err)
		}
		ctx, cancel := context.WithTimeout(cloud.ExpectRefusal(ctx), requestBound)
		err := r.read(ctx, e, target, overScheme("http", new(url.URL)))
		cancel()
		const what, want = "what is told over TLS is asked without", refusedText
		switch {
		case err == nil:
			x.record(what, want, "answered", false)
		case cloud.IsRefused(err):
			x.record(what, want, refusedText+" by its policy", true)
		case errors.Is(err, syscall.ECONNREFUSED):
			x.record(what, want, refusedText+" by the service, which does not listen", true)
		case asked.Port() != "" && speaksTLSOnly(err):
			x.record(what, want, refusedText+" by the service, which speaks nothing but TLS on its port", true)
		default:
			return fmt.Errorf("reading %s without TLS: %w", target, err)
		}
	}
	return nil
}

// speaksTLSOnly tells whether a port that has just answered over TLS gives nothing of the API without: it takes the connection
// and closes it, or answers with what is no HTTP, or with a 400 of the server's own, which names no error of an API (Go's and
// nginx's servers say so, others of Python and Java close). Where the two have ports of their own, as at AWS, it says nothing.
func speaksTLSOnly(err error) bool {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.HTTPStatusCode() != 0 {
		var api smithy.APIError
		named := errors.As(err, &api) && api.ErrorCode() != "UnknownError"
		return answer.HTTPStatusCode() == http.StatusBadRequest && !named
	}
	var sending *smithyhttp.RequestSendError
	var network *net.OpError
	connected := !errors.As(err, &network) || network.Op != "dial" && !network.Timeout()
	return errors.As(err, &sending) && connected && !errors.Is(err, context.DeadlineExceeded)
}

// overScheme sends a call by http or https, whatever its endpoint says; empty leaves it. Asked tells what the endpoint said.
// The scheme is no part of what is signed.
func overScheme(scheme string, asked *url.URL) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("tapstack:scheme", func(
			ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
		) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if request, ok := in.Request.(*smithyhttp.Request); ok {
				*asked = *request.URL
				if scheme != "" {
					request.URL.Scheme = scheme
				}
			}
			return next.HandleFinalize(ctx, in)
		}), "ResolveEndpointV2", middleware.After)
	}
}
