package lifecycle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"tapstack/lib/cloud"
)

const defaultRegion = "us-east-1"

// BucketOptions say where in S3 the states of a project's stacks are, and which KMS key opens their secrets.
type BucketOptions struct {
	Project string
	// Backend is s3://bucket/prefix. Its query may give region (default us-east-1), profile, ssetype and kmskeyid, which
	// mean what they mean to Pulumi.
	Backend string
	// SecretsProvider is awskms://alias/NAME, awskms://KEY-ID or awskms:///ARN. Its query may give region, profile and the
	// encryption context as context_KEY=VALUE. Only a stack that is yet to be made needs it: others remember theirs.
	SecretsProvider string
	// Env is what the engine's environment will have, so that both ask the same API. Without credentials in it, those of
	// this process are used.
	Env map[string]string
}

// Bucket keeps the states of a project's stacks in S3, their secrets encrypted with a key of KMS: whoever may use both
// can go on with a stack, from any machine. The states lie there as Pulumi's own S3 backend has them. Beside them is the
// configuration of each stack, which Pulumi leaves to a local file.
type Bucket struct {
	project, name, prefix string
	// backend and secrets are the URLs that Pulumi gets.
	backend, secrets string
	region, profile  string
	encryption       types.ServerSideEncryption
	encryptionKey    string
	client           *s3.Client
}

var _ States = (*Bucket)(nil)

// StateError says that the states could not be asked.
type StateError struct {
	Place string // s3://bucket/prefix
	Doing string
	Cause string
	Next  string
	err   error
}

func (e *StateError) Error() string {
	text := fmt.Sprintf("%s in %s: %s", e.Doing, e.Place, e.Cause)
	if e.Next != "" {
		text += "\n" + e.Next
	}
	return text
}

// Unwrap gives the SDK's error.
func (e *StateError) Unwrap() error { return e.err }

// bucketName is what S3 takes for a general purpose bucket
// [https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html].
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// Fault tells everything that is wrong with the options, without asking anybody.
func (o BucketOptions) Fault() error {
	_, err := o.parse()
	return err
}

// parse turns the URLs into what Pulumi is to get: SDK v2, which alone heeds AWS_ENDPOINT_URL and single sign-on, and a
// region that does not depend on the machine.
func (o BucketOptions) parse() (*Bucket, error) {
	b := &Bucket{project: o.Project}
	var faults []error
	place, query, err := parseURL("--backend", o.Backend, "s3://bucket/prefix?region=us-east-1", "region", "profile", "ssetype", "kmskeyid")
	switch {
	case err != nil:
		faults = append(faults, err)
	case place.Scheme != "s3" || !bucketName.MatchString(place.Host):
		faults = append(faults, fmt.Errorf("--backend %q is no S3 bucket: write s3://bucket/prefix?region=us-east-1", o.Backend))
	default:
		b.name, b.prefix = place.Host, strings.Trim(place.Path, "/")
		b.region, b.profile = query.Get("region"), query.Get("profile")
		b.encryption, b.encryptionKey = types.ServerSideEncryption(query.Get("ssetype")), query.Get("kmskeyid")
		place.Path, place.RawQuery = strings.TrimSuffix("/"+b.prefix, "/"), query.Encode()
		b.backend = place.String()
	}
	if o.SecretsProvider != "" {
		key, query, err := parseURL("--secrets-provider", o.SecretsProvider, "awskms://alias/NAME?region=us-east-1", "region", "profile", "context_")
		switch {
		case err != nil:
			faults = append(faults, err)
		case key.Scheme != "awskms" || strings.Trim(path.Join(key.Host, key.Path), "/") == "":
			faults = append(faults, fmt.Errorf("--secrets-provider %q is no key of KMS: write awskms://alias/NAME?region=us-east-1", o.SecretsProvider))
		default:
			key.RawQuery = query.Encode()
			b.secrets = key.String()
		}
	}
	if endpoint := o.Env["AWS_ENDPOINT_URL"]; endpoint != "" {
		faults = append(faults, endpointFault(endpoint))
	}
	return b, errors.Join(faults...)
}

// parseURL reads a flag's URL, whose query may have nothing but the keys named, and completes the query.
func parseURL(flag, given, example string, keys ...string) (*url.URL, url.Values, error) {
	parsed, err := url.Parse(given)
	if err != nil || parsed.User != nil || parsed.Fragment != "" {
		return nil, nil, fmt.Errorf("%s %q is no URL such as %s", flag, given, example)
	}
	query := parsed.Query()
	for name := range query {
		known := slices.ContainsFunc(keys, func(key string) bool {
			return name == key || strings.HasSuffix(key, "_") && strings.HasPrefix(name, key)
		})
		if !known && (name != "awssdk" || query.Get(name) != "v2") {
			return nil, nil, fmt.Errorf("%s %q: %s is not among the options that its query may have", flag, given, name)
		}
	}
	query.Set("awssdk", "v2")
	query.Set("region", cmp.Or(query.Get("region"), defaultRegion))
	return parsed, query, nil
}

// endpointFault refuses a host name: the S3 client of Pulumi would put the bucket's name in front of it.
func endpointFault(endpoint string) error {
	parsed, err := url.Parse(endpoint)
	if err != nil || net.ParseIP(parsed.Hostname()) == nil {
		return fmt.Errorf("--backend needs an endpoint with a numeric address, such as http://127.0.0.1:4566, not %s", endpoint)
	}
	return nil
}

// OpenBucket prepares to ask for states. It asks nothing yet.
func OpenBucket(ctx context.Context, options BucketOptions) (*Bucket, error) {
	b, err := options.parse()
	if err != nil {
		return nil, err
	}
	cfg, err := b.reach(ctx, options.Env)
	if err != nil {
		return nil, err
	}
	b.client = cloud.NewClients(cfg).S3
	return b, nil
}

// reach answers with what the engine sees of AWS: with credentials in env it is to see no others.
func (b *Bucket) reach(ctx context.Context, env map[string]string) (aws.Config, error) {
	cfg := aws.Config{Region: b.region}
	if key := env["AWS_ACCESS_KEY_ID"]; key != "" {
		cfg.Credentials = credentials.NewStaticCredentialsProvider(key, env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"])
	} else {
		var err error
		if cfg, err = config.LoadDefaultConfig(ctx, config.WithRegion(b.region), config.WithSharedConfigProfile(b.profile)); err != nil {
			return cfg, fmt.Errorf("reading the AWS configuration: %w", err)
		}
	}
	if endpoint := env["AWS_ENDPOINT_URL"]; endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}
	return cfg, nil
}

// String is where the states are, as a person would write it.
func (b *Bucket) String() string { return "s3://" + path.Join(b.name, b.prefix) }

// Keys of one stack's objects, below the prefix. All but settings are in the layout of Pulumi's backend.
func (b *Bucket) checkpoint(stack string) string {
	return path.Join(".pulumi", "stacks", b.project, stack+".json")
}

func (b *Bucket) locks(stack string) string {
	return path.Join(".pulumi", "locks", "organization", b.project, stack) + "/"
}

func (b *Bucket) settings(stack string) string {
	return path.Join(".tapstack", b.project, "Pulumi."+stack+".yaml")
}

// Exists says whether there is a state of a stack.
func (b *Bucket) Exists(ctx context.Context, stack string) (bool, error) {
	keys, err := b.list(ctx, b.checkpoint(stack))
	return slices.Contains(keys, b.checkpoint(stack)), err
}

// List names the stacks that have a state.
func (b *Bucket) List(ctx context.Context) ([]string, error) {
	folder := path.Dir(b.checkpoint("any")) + "/"
	keys, err := b.list(ctx, folder)
	var stacks []string
	for _, key := range keys {
		name, is := strings.CutSuffix(strings.TrimPrefix(key, folder), ".json")
		if is && !strings.Contains(name, "/") {
			stacks = append(stacks, name)
		}
	}
	return stacks, err
}

// Config is the configuration that a stack was last deployed with, without the project's namespace.
func (b *Bucket) Config(ctx context.Context, stack string) (map[string]string, error) {
	content, err := b.read(ctx, b.settings(stack))
	if err != nil {
		return nil, err
	}
	return configIn(content, b.project)
}

// Setting is one value of the configuration that a stack was last deployed with.
func (b *Bucket) Setting(ctx context.Context, stack, key string) (string, error) {
	content, err := b.read(ctx, b.settings(stack))
	if err != nil {
		return "", err
	}
	return settingIn(content, key)
}

// Forget removes all objects of a stack: its state, Pulumi's backup of it, history, locks and configuration.
func (b *Bucket) Forget(ctx context.Context, stack string) error {
	for _, prefix := range []string{
		b.checkpoint(stack),
		path.Join(".pulumi", "history", b.project, stack) + "/",
		path.Join(".pulumi", "backups", b.project, stack) + "/",
		b.locks(stack),
		b.settings(stack),
	} {
		keys, err := b.list(ctx, prefix)
		if err != nil {
			return err
		}
		for _, key := range keys {
			_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: b.key(key)})
			if err != nil {
				return b.explain("removing "+key, err)
			}
		}
	}
	return nil
}

// holders lists who holds the engine's lock on a stack.
func (b *Bucket) holders(ctx context.Context, stack string) ([]holder, error) {
	keys, err := b.list(ctx, b.locks(stack))
	if err != nil {
		return nil, err
	}
	var holders []holder
	for _, key := range keys {
		content, err := b.read(ctx, key)
		if err != nil {
			return nil, err
		}
		held, err := readHolder(b.String()+"/"+key, content)
		if err != nil {
			return nil, err
		}
		holders = append(holders, held)
	}
	return holders, nil
}

func (b *Bucket) key(name string) *string { return aws.String(path.Join(b.prefix, name)) }

// list answers with the keys that begin with prefix, both without the bucket's own.
func (b *Bucket) list(ctx context.Context, prefix string) ([]string, error) {
	// A prefix's last slash matters, and path.Join drops it.
	root := strings.TrimPrefix(b.prefix+"/", "/")
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: aws.String(root + prefix)})
	objects, err := cloud.Pages(ctx, pages, func(o *s3.ListObjectsV2Output) []types.Object { return o.Contents })
	if err != nil {
		return nil, b.explain("looking for states", err)
	}
	var keys []string
	for _, object := range objects {
		keys = append(keys, strings.TrimPrefix(aws.ToString(object.Key), root))
	}
	return keys, nil
}

// read answers with nothing for an object that is not there.
func (b *Bucket) read(ctx context.Context, key string) ([]byte, error) {
	object, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: b.key(key)})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, b.explain("reading "+key, err)
	}
	defer func() { _ = object.Body.Close() }()
	content, err := io.ReadAll(object.Body)
	if err != nil {
		return nil, b.explain("reading "+key, err)
	}
	return content, nil
}

func (b *Bucket) write(ctx context.Context, key string, content []byte) error {
	input := &s3.PutObjectInput{Bucket: &b.name, Key: b.key(key), Body: bytes.NewReader(content), ServerSideEncryption: b.encryption}
	if b.encryptionKey != "" {
		input.SSEKMSKeyId = &b.encryptionKey
	}
	if _, err := b.client.PutObject(ctx, input); err != nil {
		return b.explain("writing "+key, err)
	}
	return nil
}

const signIn = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and sign in anew if they have expired."

// bucketFaults are the answers of S3 that a wrong flag or a missing right leads to, by the code of the error.
var bucketFaults = []struct {
	codes       []string
	cause, next string
}{
	{
		[]string{"NoSuchBucket", "NotFound"},
		"there is no such bucket",
		"Correct --backend, or create the bucket: docs/runbook.md says how.",
	},
	{
		[]string{"AccessDenied", "Forbidden", "AllAccessDisabled"},
		"the credentials may not do that",
		"The states need s3:ListBucket on the bucket and s3:GetObject, s3:PutObject and s3:DeleteObject on its objects.",
	},
	{
		[]string{"PermanentRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"},
		"the bucket is in another region",
		"Name its region in --backend: s3://bucket/prefix?region=REGION.",
	},
	{
		[]string{"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"},
		"AWS does not accept the credentials of this environment",
		signIn,
	},
}

func (b *Bucket) explain(doing string, err error) error {
	fault := &StateError{Place: b.String(), Doing: doing, Cause: tidy(err.Error()), err: err}
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		for _, known := range bucketFaults {
			if slices.Contains(known.codes, api.ErrorCode()) {
				fault.Cause, fault.Next = fmt.Sprintf("%s (%s)", known.cause, api.ErrorCode()), known.next
			}
		}
	case strings.Contains(err.Error(), "get credentials: "): // the SDK has no type for it
		fault.Cause, fault.Next = "this environment has no AWS credentials that work", signIn
	}
	return fault
}
