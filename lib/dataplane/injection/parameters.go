package injection

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"tapstack/lib/cloud"
)

func fromSSM(text string) StoppedReason {
	return StoppedReason(pulling + "unable to retrieve secrets from ssm: service call has been retried 1 time(s): " + text)
}

// parametersAtOnce is how many names one GetParameters takes (Systems Manager API reference).
const parametersAtOnce = 10

// parameter is one as a task definition names it: by name, or by ARN, which may be of another region. Either may end in a
// version or label ("name:3").
type parameter struct {
	from, name, region string
	id                 string // ARN without version or label, which is what policies speak of
}

func (r *reader) parseParameter(from string) (parameter, error) {
	id, err := arn.Parse(from)
	if err != nil {
		bare, _, _ := strings.Cut(from, ":")
		id = arn.ARN{
			Partition: r.identity.Partition, Service: "ssm", Region: r.identity.Region, AccountID: r.identity.Account,
			Resource: "parameter/" + strings.TrimPrefix(bare, "/"),
		}
		return parameter{from, from, r.identity.Region, id.String()}, nil
	}
	path, is := strings.CutPrefix(id.Resource, "parameter/")
	if !is || path == "" {
		return parameter{}, fromSSM("invalid ssm parameters: " + from)
	}
	name := path
	if strings.Contains(path, "/") {
		name = "/" + path // a name with a path begins with a slash, of which the ARN has one only
	}
	bare, _, _ := strings.Cut(path, ":")
	id.Resource = "parameter/" + bare
	return parameter{from, name, cmp.Or(id.Region, r.identity.Region), id.String()}, nil
}

// parameters reads the parameters of some references.
func (r *reader) parameters(ctx context.Context, references []string) (map[string]string, error) {
	byRegion := map[string][]parameter{}
	for _, from := range references {
		p, err := r.parseParameter(from)
		if err != nil {
			return nil, err
		}
		owner, _ := arn.Parse(p.id)
		request := r.request("ssm:GetParameters", p.id, nil)
		refusal, err := r.role.Ask(request, owner.AccountID, nil)
		refusal, err = r.denied(request, refusal, err)
		switch {
		case err != nil:
			return nil, err
		case refusal != "":
			return nil, fromSSM(refusal)
		}
		byRegion[p.region] = append(byRegion[p.region], p)
	}
	values := map[string]string{}
	for _, region := range slices.Sorted(maps.Keys(byRegion)) {
		for some := range slices.Chunk(byRegion[region], parametersAtOnce) {
			if err := r.readParameters(ctx, region, some, values); err != nil {
				return nil, err
			}
		}
	}
	return values, nil
}

// readParameters adds the values of some parameters of one region.
func (r *reader) readParameters(ctx context.Context, region string, some []parameter, values map[string]string) error {
	names := make([]string, len(some))
	for i, p := range some {
		names[i] = p.name
	}
	one := "ssm:GetParameters " + region + " " + strings.Join(names, " ")
	out, err := cloud.Once(ctx, r.Reader, one, func(ctx context.Context) (*ssm.GetParametersOutput, error) {
		return r.SSM.GetParameters(ctx, &ssm.GetParametersInput{Names: names, WithDecryption: aws.Bool(true)},
			func(o *ssm.Options) { o.Region = region })
	})
	switch text, api := said(err); {
	case cloud.IsRefused(err):
		return fmt.Errorf("the task's execution role may read %s, but whoever runs this tool may not: %w", strings.Join(names, ", "), err)
	case api:
		return fromSSM(text)
	case err != nil:
		return err
	}
	read := map[string]ssmtypes.Parameter{}
	for _, p := range out.Parameters {
		read[aws.ToString(p.Name)+aws.ToString(p.Selector)] = p
	}
	var invalid []string
	for _, p := range some {
		found, ok := read[p.name]
		if !ok {
			invalid = append(invalid, p.name)
			continue
		}
		if err := r.mayDecrypt(ctx, found); err != nil {
			return err
		}
		values[p.from] = aws.ToString(found.Value)
	}
	if len(invalid) > 0 {
		return fromSSM("invalid ssm parameters: " + strings.Join(invalid, ","))
	}
	return nil
}

// mayDecrypt asks the policies of the key of a SecureString, which only DescribeParameters tells.
func (r *reader) mayDecrypt(ctx context.Context, p ssmtypes.Parameter) error {
	if p.Type != ssmtypes.ParameterTypeSecureString {
		return nil
	}
	name := aws.ToString(p.Name)
	all, err := r.Parameters(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(m ssmtypes.ParameterMetadata) bool { return aws.ToString(m.Name) == name })
	if i < 0 || aws.ToString(all[i].KeyId) == "" {
		return nil
	}
	refusal, err := r.decrypts(ctx, aws.ToString(all[i].KeyId), "ssm", map[string]string{"PARAMETER_ARN": aws.ToString(p.ARN)})
	if err == nil && refusal != "" {
		return fromSSM(refusal)
	}
	return err
}
