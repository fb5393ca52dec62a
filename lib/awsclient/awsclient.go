// Package awsclient makes the AWS clients whose defaults an AWS-compatible endpoint seldom understands, in the one form
// that AWS and emulators both serve. Every other client comes from its service's NewFromConfig as it is.
package awsclient

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
)

// CloudWatch speaks the query protocol. The SDK's own choice, CBOR, is newer than what most emulators understand; AWS
// serves both.
func CloudWatch(cfg aws.Config, options ...func(*cloudwatch.Options)) *cloudwatch.Client {
	return cloudwatch.NewFromConfig(cfg, append(options, func(o *cloudwatch.Options) {
		o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801)
	})...)
}

// S3 names buckets in the path where cfg leads to a custom endpoint, which seldom answers for a host name per bucket.
func S3(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
}
