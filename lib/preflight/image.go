package preflight

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// taskPlatform is what tasks run on (lib/tap_stack.go, task definitions).
const taskPlatform = "linux/amd64"

var privateRegistry = regexp.MustCompile(`^([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$`)

// imageProbe makes sure that Fargate can pull an image: it is there, for the right platform, and needs no credentials
// that the tasks do not have. Where none is configured, it is another task's, which is looked at already.
func imageProbe(of func(lib.Config) string) func(context.Context, *inspection) []Finding {
	return func(ctx context.Context, in *inspection) []Finding {
		if of(in.Config) == "" {
			return nil
		}
		reference, err := name.ParseReference(of(in.Config))
		if err != nil {
			return []Finding{problem("Write it as REGISTRY/REPOSITORY:TAG or with @sha256:DIGEST.", "%v", err)}
		}
		if parts := privateRegistry.FindStringSubmatch(reference.Context().RegistryStr()); parts != nil {
			return []Finding{in.lookAtPrivateImage(ctx, reference, parts[1], parts[2])}
		}
		if in.Emulated {
			return []Finding{unknown("%s: not looked at, since an emulator pulls no images", reference)}
		}
		return []Finding{in.lookAtManifest(ctx, reference, authn.Anonymous)}
	}
}

// lookAtPrivateImage asks ECR in the account and region that the image names.
func (in *inspection) lookAtPrivateImage(ctx context.Context, reference name.Reference, account, region string) Finding {
	if in.account == "" {
		return unknown("%s: not looked at, since the credentials are not accepted", reference)
	}
	client := in.ecrClient(region)
	id := ecrtypes.ImageIdentifier{ImageTag: aws.String(reference.Identifier())}
	if _, isDigest := reference.(name.Digest); isDigest {
		id = ecrtypes.ImageIdentifier{ImageDigest: aws.String(reference.Identifier())}
	}
	repository := reference.Context().RepositoryStr()
	_, err := client.DescribeImages(ctx, &ecr.DescribeImagesInput{
		RegistryId: &account, RepositoryName: &repository, ImageIds: []ecrtypes.ImageIdentifier{id},
	})
	switch {
	case cloud.HasCode(err, "RepositoryNotFoundException"):
		return problem("Create it and push the image, or name another.", "account %s has no repository %s in %s", account, repository, region)
	case cloud.HasCode(err, "ImageNotFoundException"):
		return problem("Push it, or name another.", "repository %s in %s has no image %s", repository, region, reference.Identifier())
	case err != nil:
		return unread(fmt.Errorf("%s: %w", reference, err))
	case in.Emulated:
		return fine("%s is there", reference)
	}
	login, err := registryLogin(ctx, client)
	if err != nil {
		return unknown("%s is there, but its platform could not be read: %s", reference, reason(err))
	}
	return in.lookAtManifest(ctx, reference, login)
}

// registryLogin is a login for ECR's side that speaks the registry protocol.
func registryLogin(ctx context.Context, client *ecr.Client) (authn.Authenticator, error) {
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return nil, err
	}
	if len(out.AuthorizationData) == 0 {
		return nil, errors.New("ECR gives no login")
	}
	plain, err := base64.StdEncoding.DecodeString(aws.ToString(out.AuthorizationData[0].AuthorizationToken))
	user, password, found := strings.Cut(string(plain), ":")
	if err != nil || !found {
		return nil, errors.New("ECR's login is not of the documented form")
	}
	return &authn.Basic{Username: user, Password: password}, nil
}

// lookAtManifest reads the image's manifest from its registry.
func (in *inspection) lookAtManifest(ctx context.Context, reference name.Reference, login authn.Authenticator) Finding {
	descriptor, err := remote.Get(reference, remote.WithContext(ctx), remote.WithAuth(login), remote.WithTransport(in.registry))
	if err != nil {
		return in.judgePull(reference, err)
	}
	platforms, err := platformsOf(descriptor)
	if err != nil {
		return unknown("%s is there, but its platform could not be read: %s", reference, reason(err))
	}
	if slices.Contains(platforms, taskPlatform) {
		return fine("%s is there, for %s", reference, taskPlatform)
	}
	return problem("Build it with --platform "+taskPlatform+" and push it again.",
		"%s is for %s, and the tasks run on %s", reference, strings.Join(platforms, ", "), taskPlatform)
}

// platformsOf lists what an image, or an index of images, is made for.
func platformsOf(descriptor *remote.Descriptor) ([]string, error) {
	if !descriptor.MediaType.IsIndex() {
		image, err := descriptor.Image()
		if err != nil {
			return nil, err
		}
		config, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		return []string{config.OS + "/" + config.Architecture}, nil
	}
	index, err := descriptor.ImageIndex()
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		// Attestations stand beside the images under the platform unknown/unknown.
		if m.Platform != nil && m.Platform.OS != "unknown" {
			platforms = append(platforms, m.Platform.OS+"/"+m.Platform.Architecture)
		}
	}
	if len(platforms) == 0 {
		return nil, errors.New("the index names no platform")
	}
	return platforms, nil
}

func (in *inspection) judgePull(reference name.Reference, err error) Finding {
	var answer *transport.Error
	var lookup *net.DNSError
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return problem("Push it, or name another.", "%s is not in its registry", reference)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return problem("Make it public, or push it to ECR, where the tasks may pull.",
			"%s does not exist, or cannot be pulled without credentials, and the tasks have none for %s", reference, reference.Context().RegistryStr())
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return problem("Correct the image's name.", "there is no registry %s", reference.Context().RegistryStr())
	case errors.As(err, &answer):
		return unknown("%s: the registry answers with HTTP status %d", reference, answer.StatusCode)
	}
	return unread(fmt.Errorf("%s: %w", reference, err))
}

// httpsOnly refuses to speak to a registry in plain text.
type httpsOnly struct{ next http.RoundTripper }

func (t httpsOnly) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s would be asked without TLS", request.URL.Host)
	}
	return t.next.RoundTrip(request)
}
