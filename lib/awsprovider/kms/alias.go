package kms

import (
	"context"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"tapstack/lib/awsprovider/resource"
)

// AliasArgs are the inputs of aws:kms/alias:Alias.
type AliasArgs struct {
	Name        string `pulumi:"name" aws:"forcenew"`
	TargetKeyID string `pulumi:"targetKeyId"`
}

// AliasState is the state of aws:kms/alias:Alias; its id is the alias's name.
type AliasState struct {
	AliasArgs
	Arn          string `pulumi:"arn"`
	TargetKeyArn string `pulumi:"targetKeyArn"`
}

// aliasName is the form of a name that is not reserved for AWS (KMS API reference, CreateAlias).
var aliasName = regexp.MustCompile(`^alias/[0-9A-Za-z_/-]+$`)

var alias = resource.Description[AliasArgs, AliasState]{
	Token: "aws:kms/alias:Alias",
	Check: func(a *AliasArgs) []resource.Fault {
		if a.Name == "" || aliasName.MatchString(a.Name) && !strings.HasPrefix(a.Name, "alias/aws/") {
			return nil
		}
		return []resource.Fault{{
			Property: "name",
			Reason:   `must begin with "alias/", not with "alias/aws/", and be made of letters, digits, "_", "/" and "-"`,
		}}
	},
	Create: func(ctx context.Context, c *resource.Cloud, a AliasArgs) (string, error) {
		err := retry(ctx, "key "+a.TargetKeyID+" is seen", settle, func(ctx context.Context) error {
			_, err := c.KMS.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &a.Name, TargetKeyId: &a.TargetKeyID})
			return err
		})
		if err != nil {
			return "", err
		}
		return a.Name, awaitAlias(ctx, c, a.Name, a.TargetKeyID)
	},
	Read: func(ctx context.Context, c *resource.Cloud, id string, prior AliasState) (AliasState, error) {
		got, err := findAlias(ctx, c, id)
		if err != nil {
			return prior, err
		}
		s := prior
		s.Name, s.Arn = aws.ToString(got.AliasName), aws.ToString(got.AliasArn)
		if target := aws.ToString(got.TargetKeyId); keyID(prior.TargetKeyID) != target {
			s.TargetKeyID = target
		}
		s.TargetKeyArn = strings.TrimSuffix(s.Arn, s.Name) + "key/" + aws.ToString(got.TargetKeyId)
		return s, nil
	},
	Update: func(ctx context.Context, c *resource.Cloud, id string, _ AliasState, a AliasArgs) error {
		_, err := c.KMS.UpdateAlias(ctx, &kms.UpdateAliasInput{AliasName: &id, TargetKeyId: &a.TargetKeyID})
		if err != nil {
			return err
		}
		return awaitAlias(ctx, c, id, a.TargetKeyID)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ AliasState) error {
		if _, err := c.KMS.DeleteAlias(ctx, &kms.DeleteAliasInput{AliasName: &id}); err != nil {
			return err
		}
		return resource.PollGone(ctx, "alias "+id, propagation, func(ctx context.Context) error {
			_, err := findAlias(ctx, c, id)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[AliasArgs] {
		first := x.Make("aws:kms/key:Key", map[string]any{"deletionWindowInDays": 7})
		second := x.Make("aws:kms/key:Key", map[string]any{"deletionWindowInDays": 7})
		return resource.Example[AliasArgs]{
			Inputs: AliasArgs{Name: "alias/" + x.Name("alias"), TargetKeyID: first.ID},
			Changes: []resource.Change[AliasArgs]{
				{Name: "target", Apply: func(a *AliasArgs) { a.TargetKeyID = second.ID }},
				{Name: "target by ARN", Apply: func(a *AliasArgs) { a.TargetKeyID = first.Outputs["arn"].(string) }},
			},
		}
	},
}

// keyID is the id of a key that is given by id or ARN.
func keyID(idOrARN string) string { return idOrARN[strings.LastIndex(idOrARN, "/")+1:] }

func findAlias(ctx context.Context, c *resource.Cloud, name string) (types.AliasListEntry, error) {
	pages := kms.NewListAliasesPaginator(c.KMS, &kms.ListAliasesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return types.AliasListEntry{}, err
		}
		for _, a := range page.Aliases {
			if aws.ToString(a.AliasName) == name {
				return a, nil
			}
		}
	}
	return types.AliasListEntry{}, resource.ErrNotFound
}

func awaitAlias(ctx context.Context, c *resource.Cloud, name, target string) error {
	return resource.PollThere(ctx, name+" points to "+target, propagation, func(ctx context.Context) (bool, error) {
		got, err := findAlias(ctx, c, name)
		return aws.ToString(got.TargetKeyId) == keyID(target), err
	})
}
