package secretsmanager

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tapstack/lib/awsprovider/resource"
)

// The staging labels that Secrets Manager itself moves. AWSCURRENT can be moved but never taken away.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// VersionArgs are the inputs of aws:secretsmanager/secretVersion:SecretVersion. A new value is a new version.
type VersionArgs struct {
	SecretID      string   `pulumi:"secretId" aws:"forcenew"`
	SecretString  string   `pulumi:"secretString" provider:"secret" aws:"forcenew"`
	VersionStages []string `pulumi:"versionStages,optional" aws:"set,computed"`
}

// VersionState is the state of aws:secretsmanager/secretVersion:SecretVersion; its id is "secret id|version id".
type VersionState struct {
	VersionArgs
	Arn       string `pulumi:"arn"`
	VersionID string `pulumi:"versionId"`
	// SecretBinary is empty, and secret all the same: a program may not learn from it of which kind the value is.
	SecretBinary string `pulumi:"secretBinary" provider:"secret"`
}

var secretVersion = resource.Description[VersionArgs, VersionState]{
	Token:  "aws:secretsmanager/secretVersion:SecretVersion",
	Create: createVersion,
	Read:   readVersion,
	Update: updateVersion,
	Delete: deleteVersion,
	Example: func(x resource.Scratch) resource.Example[VersionArgs] {
		of := x.Make("aws:secretsmanager/secret:Secret", map[string]any{"name": x.Name("secret"), "recoveryWindowInDays": 0})
		return resource.Example[VersionArgs]{
			Silent: "AWSCURRENT cannot be taken from a version, so the current version stays until its secret is deleted",
			Inputs: VersionArgs{SecretID: of.ID, SecretString: `{"password":"not-a-real-one"}`},
			Changes: []resource.Change[VersionArgs]{
				{Name: "one more label", Apply: func(a *VersionArgs) { a.VersionStages = []string{"MINE", current} }},
				{Name: "one label less", Apply: func(a *VersionArgs) { a.VersionStages = []string{current} }},
			},
		}
	},
}

func createVersion(ctx context.Context, c *resource.Cloud, a VersionArgs) (string, error) {
	out, err := c.SecretsManager.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &a.SecretID, SecretString: &a.SecretString, VersionStages: a.VersionStages,
	})
	if err != nil {
		return "", err
	}
	version := aws.ToString(out.VersionId)
	return a.SecretID + "|" + version, resource.PollThere(ctx, "secret version "+version+" is seen", propagation,
		func(ctx context.Context) (bool, error) {
			_, err := getVersion(ctx, c, a.SecretID, version)
			return true, err
		})
}

func readVersion(ctx context.Context, c *resource.Cloud, id string, prior VersionState) (VersionState, error) {
	secretID, version, err := splitID(id)
	if err != nil {
		return prior, err
	}
	got, err := getVersion(ctx, c, secretID, version)
	if err != nil {
		return prior, err
	}
	s := prior
	s.Arn, s.SecretID, s.VersionID = aws.ToString(got.ARN), secretID, aws.ToString(got.VersionId)
	s.SecretString = aws.ToString(got.SecretString)
	s.VersionStages = slices.Sorted(slices.Values(got.VersionStages))
	return s, nil
}

// updateVersion moves staging labels; all else replaces.
func updateVersion(ctx context.Context, c *resource.Cloud, id string, old VersionState, a VersionArgs) error {
	secretID, version, err := splitID(id)
	if err != nil {
		return err
	}
	becameCurrent := false
	for _, stage := range without(a.VersionStages, old.VersionStages) {
		in := &secretsmanager.UpdateSecretVersionStageInput{
			SecretId: &secretID, VersionStage: aws.String(stage), MoveToVersionId: &version,
		}
		if in.RemoveFromVersionId, err = holder(ctx, c, secretID, stage); err != nil {
			return err
		}
		if _, err := c.SecretsManager.UpdateSecretVersionStage(ctx, in); err != nil {
			return fmt.Errorf("adding the staging label %s: %w", stage, err)
		}
		becameCurrent = becameCurrent || stage == current
	}
	for _, stage := range without(old.VersionStages, a.VersionStages) {
		// With AWSCURRENT, AWSPREVIOUS has moved as well.
		if stage == current || stage == previous && becameCurrent {
			continue
		}
		if err := removeStage(ctx, c, secretID, version, stage); err != nil {
			return err
		}
	}
	return nil
}

// deleteVersion takes away the version's staging labels, which lets Secrets Manager remove it. The current version
// stays until there is another, or the secret goes.
func deleteVersion(ctx context.Context, c *resource.Cloud, id string, _ VersionState) error {
	secretID, version, err := splitID(id)
	if err != nil {
		return err
	}
	got, err := getVersion(ctx, c, secretID, version)
	if err != nil {
		return err
	}
	for _, stage := range got.VersionStages {
		if stage == current {
			continue
		}
		if err := removeStage(ctx, c, secretID, version, stage); err != nil {
			return err
		}
	}
	return resource.PollGone(ctx, "secret version "+version, propagation, func(ctx context.Context) error {
		got, err := getVersion(ctx, c, secretID, version)
		if err == nil && len(without(got.VersionStages, []string{current, previous})) == 0 {
			return resource.ErrNotFound
		}
		return err
	})
}

// getVersion takes a version of a secret that is scheduled for deletion as gone.
func getVersion(ctx context.Context, c *resource.Cloud, secretID, version string) (*secretsmanager.GetSecretValueOutput, error) {
	out, err := c.SecretsManager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secretID, VersionId: &version})
	if deleted(err) {
		return nil, resource.ErrNotFound
	}
	return out, err
}

func removeStage(ctx context.Context, c *resource.Cloud, secretID, version, stage string) error {
	_, err := c.SecretsManager.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &secretID, VersionStage: &stage, RemoveFromVersionId: &version,
	})
	if deleted(err) {
		return resource.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("removing the staging label %s: %w", stage, err)
	}
	return nil
}

// holder is the version that holds a staging label, or nil. A label that is held must be moved from its holder by name.
func holder(ctx context.Context, c *resource.Cloud, secretID, stage string) (*string, error) {
	pages := secretsmanager.NewListSecretVersionIdsPaginator(c.SecretsManager, &secretsmanager.ListSecretVersionIdsInput{
		SecretId: &secretID,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the versions: %w", err)
		}
		for _, v := range page.Versions {
			if slices.Contains(v.VersionStages, stage) {
				return v.VersionId, nil
			}
		}
	}
	return nil, nil
}

func splitID(id string) (secretID, version string, err error) {
	secretID, version, ok := strings.Cut(id, "|")
	if !ok || secretID == "" || version == "" {
		return "", "", fmt.Errorf("%q is not of the form SECRET|VERSION", id)
	}
	return secretID, version, nil
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}
