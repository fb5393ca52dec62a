package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/printable"
)

// Claim says in the account itself which state has a stack, so that two operators with a state each do not deploy the same
// suffix. It is a parameter of SSM, made before the first resource and removed after the last: of two that make it at once,
// SSM refuses one
// [https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html, Overwrite].
type Claim struct {
	// State is lifecycle's ID of the state.
	State string `json:"state"`
	// Place is where the state is: s3://bucket/prefix, or a folder of the host.
	Place string `json:"place"`
	// By is user@host.
	By    string    `json:"by"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// ClaimedError says that another state has the stack.
type ClaimedError struct {
	Stack string
	// Claim is zero where the parameter does not tell.
	Claim Claim
	// Known says that this state knows the stack, too.
	Known bool
}

func (e *ClaimedError) Error() string {
	if e.Claim.State == "" {
		return fmt.Sprintf("stack %s is claimed in this account: parameter %s does not tell by whom", e.Stack, inventory.ClaimName(e.Stack))
	}
	return fmt.Sprintf("stack %s is in this account already, of another state: that of %s, process %d, since %s, in %s",
		e.Stack, printable.Text(e.Claim.By), e.Claim.PID, e.Claim.Since.Local().Format("2006-01-02 15:04:05"), printable.Text(e.Claim.Place))
}

// checkClaim refuses to go on where another state has the stack. A state that knows the stack takes it over where the session
// is to unlock it.
func (s *Session) checkClaim(ctx context.Context) error {
	claim, err := s.readClaim(ctx)
	if err != nil || claim == nil {
		return interrupted(ctx, err)
	}
	own, err := s.location.ID(s.options.Suffix)
	if err != nil {
		return err
	}
	if s.claimed = claim.State != "" && claim.State == own; s.claimed {
		return nil
	}
	exists, err := s.Exists(ctx)
	switch {
	case err != nil:
		return err
	case exists && s.options.Unlock:
		return interrupted(ctx, s.TakeClaim(ctx))
	}
	return &ClaimedError{s.options.Suffix, *claim, exists}
}

// beginClaim has the session claim the stack when it deploys, and refuses that at once where another state has it. What cannot
// be read is told by the claim itself: the preflight comes before it.
func (s *Session) beginClaim(ctx context.Context) error {
	s.claims = true
	var claimed *ClaimedError
	if err := s.checkClaim(ctx); errors.As(err, &claimed) {
		return err
	}
	return nil
}

// claim has the account say that this state has the stack, and is refused where another has it. A stack that is not there yet
// is made first, with nothing in it, so that whatever ends the process, destroy finds the claim; it goes again when it is refused.
func (s *Session) claim(ctx context.Context, exists bool) (err error) {
	if !s.claims {
		return nil
	}
	if !exists {
		err = s.Stack.Create(ctx)
		if err == nil {
			err = s.Stack.Remember(ctx)
		}
	}
	if err == nil {
		err = s.makeClaim(ctx)
	}
	var claimed *ClaimedError
	if errors.As(err, &claimed) && !exists { // as when two begin at once
		err = errors.Join(err, s.Forget(ctx))
	}
	return interrupted(ctx, err)
}

// makeClaim makes the claim, or renews the tags of this state's.
func (s *Session) makeClaim(ctx context.Context) error {
	tags, err := s.claimTags(ctx)
	if err != nil {
		return err
	}
	own, err := s.putClaim(ctx, &ssm.PutParameterInput{Overwrite: aws.Bool(false), Tags: tags})
	made := err == nil
	if err != nil && !cloud.HasCode(err, "ParameterAlreadyExists") {
		return s.explainClaim("made", "ssm:PutParameter and ssm:AddTagsToResource", err)
	}
	// Whose it is, is read: an answer that was lost, and repeated by the SDK, says that it exists.
	var claim *Claim
	err = cloud.Poll(ctx, cloud.Wait{Limit: claimLimit, First: 200 * time.Millisecond, Longest: 2 * time.Second}, func(ctx context.Context) (bool, error) {
		var err error
		claim, err = s.readClaim(ctx)
		return claim != nil, err
	})
	switch {
	case err != nil:
		return err
	case claim.State != own:
		return &ClaimedError{Stack: s.options.Suffix, Claim: *claim}
	case !made:
		err = s.tagClaim(ctx, tags)
	}
	s.claimed = err == nil
	return err
}

// claimLimit bounds how long SSM may not tell what it has just taken.
const claimLimit = 20 * time.Second

// TakeClaim has the stack be this state's from now on, whosever it was.
func (s *Session) TakeClaim(ctx context.Context) error {
	tags, err := s.claimTags(ctx)
	if err != nil {
		return err
	}
	if _, err := s.putClaim(ctx, &ssm.PutParameterInput{Overwrite: aws.Bool(true)}); err != nil { // which takes no tags
		return s.explainClaim("taken over", "ssm:PutParameter", err)
	}
	if err := s.tagClaim(ctx, tags); err != nil {
		return err
	}
	s.claimed = true
	return nil
}

// putClaim writes this state's claim. It answers with the state's ID.
func (s *Session) putClaim(ctx context.Context, input *ssm.PutParameterInput) (id string, err error) {
	id, err = s.location.MakeID(s.options.Suffix)
	if err != nil {
		return "", err
	}
	place := s.location.Home
	if s.location.Bucket != nil {
		place = s.location.Bucket.String()
	}
	value, err := json.Marshal(Claim{State: id, Place: place, By: whoami(), PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return "", fmt.Errorf("writing the claim: %w", err)
	}
	input.Name, input.Value, input.Type = aws.String(inventory.ClaimName(s.options.Suffix)), aws.String(string(value)), ssmtypes.ParameterTypeString
	input.Description = aws.String("Which state has the stack. tap makes it first and removes it last.")
	_, err = cloud.NewClients(s.Cloud.Config).SSM.PutParameter(ctx, input)
	return id, err
}

// readClaim answers with nil where there is no claim, and with a zero one where it cannot be understood.
func (s *Session) readClaim(ctx context.Context) (*Claim, error) {
	name := inventory.ClaimName(s.options.Suffix)
	out, err := cloud.NewClients(s.Cloud.Config).SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	switch {
	case cloud.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, s.explainClaim("read", "ssm:GetParameter", err)
	}
	var claim Claim
	if json.Unmarshal([]byte(aws.ToString(out.Parameter.Value)), &claim) != nil {
		return &Claim{}, nil
	}
	return &claim, nil
}

// removeClaim removes the claim that this session has found or made to be its state's, unless another has taken it since.
func (s *Session) removeClaim(ctx context.Context) error {
	if !s.claimed {
		return nil
	}
	claim, err := s.readClaim(ctx)
	if err != nil {
		return err
	}
	own, err := s.location.ID(s.options.Suffix)
	if err != nil || claim == nil || claim.State != own {
		return err
	}
	name := inventory.ClaimName(s.options.Suffix)
	_, err = cloud.NewClients(s.Cloud.Config).SSM.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: &name})
	if err != nil && !cloud.IsNotFound(err) {
		return s.explainClaim("removed", "ssm:DeleteParameter", err)
	}
	s.claimed = false
	return nil
}

// claimTags are those of the stack's resources.
func (s *Session) claimTags(ctx context.Context) ([]ssmtypes.Tag, error) {
	config := s.options.Config
	if len(config) == 0 {
		var err error
		if config, err = s.location.Config(ctx, s.options.Suffix); err != nil {
			return nil, err
		}
	}
	var tags []ssmtypes.Tag
	for key, value := range inventory.StackTags(config, inventory.ClaimName(s.options.Suffix)) {
		tags = append(tags, ssmtypes.Tag{Key: &key, Value: &value})
	}
	return tags, nil
}

func (s *Session) tagClaim(ctx context.Context, tags []ssmtypes.Tag) error {
	_, err := cloud.NewClients(s.Cloud.Config).SSM.AddTagsToResource(ctx, &ssm.AddTagsToResourceInput{
		ResourceType: ssmtypes.ResourceTypeForTaggingParameter, ResourceId: aws.String(inventory.ClaimName(s.options.Suffix)), Tags: tags,
	})
	if err != nil {
		return s.explainClaim("tagged", "ssm:AddTagsToResource", err)
	}
	return nil
}

// explainClaim says which right is missing where one is.
func (s *Session) explainClaim(done, actions string, err error) error {
	name := inventory.ClaimName(s.options.Suffix)
	if cloud.HasCode(err, "AccessDeniedException", "AccessDenied") {
		return fmt.Errorf("the claim on stack %s could not be %s: the credentials need %s on parameter%s: %w", s.options.Suffix, done, actions, name, err)
	}
	return fmt.Errorf("the claim on stack %s, parameter %s, could not be %s: %w", s.options.Suffix, name, done, err)
}

// whoami is user@host, as far as they are known.
func whoami() string {
	name, host := "somebody", "some host"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
