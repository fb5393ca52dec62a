// Package injection gives a container its environment as ECS does when it starts a task: what the task definition says in
// plain text, and the secrets and parameters that it names, each read only if the task's execution role might read it. The
// values come through the tool's own clients, after the role's policies, the secret's and the key's have been evaluated.
//
// No value is ever part of an error.
package injection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"tapstack/lib/cloud"
	"tapstack/lib/policy"
)

// StoppedReason is why a task does not start, in the words that ECS has for it on Fargate (stopCode TaskFailedToStart). They
// are taken from "Stopped tasks error messages", ECS developer guide, and from what users report. Any other error says that
// the question could not be answered.
type StoppedReason string

func (s StoppedReason) Error() string { return string(s) }

// Source is where a task's values come from.
type Source struct {
	// Reader reads the account. It asks everything once, values too: tasks that start at one time may share it, those that
	// start later may not.
	Reader *cloud.Reader
	// Task is the task's ARN. Its id is the name of the role's session.
	Task string
}

// Resolve is the environment that a task definition gives to one of its containers. A StoppedReason among the errors is what
// stops the task.
func Resolve(ctx context.Context, s Source, td ecstypes.TaskDefinition, container string) (map[string]string, error) {
	i := slices.IndexFunc(td.ContainerDefinitions, func(c ecstypes.ContainerDefinition) bool { return aws.ToString(c.Name) == container })
	if i < 0 {
		return nil, fmt.Errorf("%s has no container %s", aws.ToString(td.TaskDefinitionArn), container)
	}
	c := td.ContainerDefinitions[i]
	if len(c.EnvironmentFiles) > 0 {
		return nil, fmt.Errorf("container %s takes environment files, which are not read here", container)
	}
	for _, role := range []*string{td.ExecutionRoleArn, td.TaskRoleArn} {
		if err := s.assume(ctx, aws.ToString(role)); err != nil {
			return nil, err
		}
	}
	values := map[string]string{}
	for _, e := range c.Environment {
		values[aws.ToString(e.Name)] = aws.ToString(e.Value)
	}
	if len(c.Secrets) == 0 {
		return values, nil
	}
	if aws.ToString(td.ExecutionRoleArn) == "" {
		return nil, StoppedReason("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
	}
	reader, err := s.reader(ctx, aws.ToString(td.ExecutionRoleArn))
	if err != nil {
		return nil, err
	}
	injected, err := reader.all(ctx, c.Secrets)
	maps.Copy(values, injected)
	return values, err
}

// roleName is the name in a role's ARN, which may have a path.
func roleName(role string) string { return role[strings.LastIndex(role, "/")+1:] }

// assume is nil where ECS may assume a role for the task, or there is no role.
func (s Source) assume(ctx context.Context, role string) error {
	if role == "" {
		return nil
	}
	refused := StoppedReason("ECS was unable to assume the role '" + role + "' that was provided for this task. " +
		"Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.")
	r, err := s.Reader.Role(ctx, roleName(role))
	if cloud.IsNotFound(err) {
		return refused
	}
	identity, err2 := s.Reader.Identity(ctx)
	if err := cmp.Or(err, err2); err != nil {
		return err
	}
	trust, err := policy.Parse(aws.ToString(r.AssumeRolePolicyDocument))
	if err != nil {
		return fmt.Errorf("%s: %w", role, err)
	}
	decision, err := policy.MayAssume(trust, "ecs-tasks.amazonaws.com", map[string][]string{
		"aws:sourceaccount": {identity.Account}, "aws:sourcearn": {s.Task}, "sts:externalid": nil,
	})
	switch {
	case err != nil:
		return fmt.Errorf("the trust policy of %s is not understood: %w", role, err)
	case decision != policy.Allowed:
		return refused
	}
	return nil
}

// reader reads secrets and parameters as a role would.
type reader struct {
	*cloud.Reader
	identity cloud.Identity
	role     policy.Role
	tags     map[string]string // of the role
}

func (s Source) reader(ctx context.Context, role string) (*reader, error) {
	r, err1 := s.Reader.Role(ctx, roleName(role))
	identity, err2 := s.Reader.Identity(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	session := arn.ARN{
		Partition: identity.Partition, Service: "sts", AccountID: identity.Account,
		Resource: "assumed-role/" + roleName(role) + "/" + s.Task[strings.LastIndex(s.Task, "/")+1:],
	}
	asking, err := policy.ParseRole(role, session.String(), r.Policies, r.Boundary)
	if err != nil {
		return nil, fmt.Errorf("the policies of %s: %w", role, err)
	}
	tags := map[string]string{}
	for _, t := range r.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return &reader{s.Reader, identity, asking, tags}, nil
}

// all reads all of a container's secrets; what each one has against it is told.
func (r *reader) all(ctx context.Context, secrets []ecstypes.Secret) (map[string]string, error) {
	values := map[string]string{}
	parameters := map[string][]string{} // names of variables by reference
	var faults []error
	for _, secret := range secrets {
		name, from := aws.ToString(secret.Name), aws.ToString(secret.ValueFrom)
		if id, err := arn.Parse(from); err != nil || id.Service == "ssm" {
			parameters[from] = append(parameters[from], name)
			continue
		}
		value, err := r.secret(ctx, from)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		values[name] = value
	}
	if err := firstReason(faults); err != nil {
		return nil, err
	}
	read, err := r.parameters(ctx, slices.Sorted(maps.Keys(parameters)))
	if err != nil {
		return nil, err
	}
	for from, names := range parameters {
		for _, name := range names {
			values[name] = read[from]
		}
	}
	return values, nil
}

// firstReason is what stops the task, before what only could not be found out.
func firstReason(faults []error) error {
	for _, fault := range faults {
		var reason StoppedReason
		if errors.As(fault, &reason) {
			return reason
		}
	}
	return errors.Join(faults...)
}

// request is one of the role's, with the condition keys that are known of a call that the container agent makes with the
// role's credentials. Tags are the resource's; nil where they are not known.
func (r *reader) request(action, resource string, tags map[string]string) policy.Request {
	request := policy.Request{Action: action, Resource: resource, Context: map[string][]string{
		"aws:principalarn":          {r.role.ARN},
		"aws:principalaccount":      {r.identity.Account},
		"aws:principaltype":         {"AssumedRole"},
		"aws:principalisawsservice": {"false"},
		"aws:securetransport":       {"true"},
		"aws:requestedregion":       {r.identity.Region},
		"aws:viaawsservice":         {"false"},
		"aws:calledvia":             nil,
		"aws:sourcearn":             nil,
		"aws:sourceaccount":         nil,
		"aws:username":              nil,
		"kms:viaservice":            nil,
		"aws:principaltag/":         nil,
	}}
	for k, v := range r.tags {
		request = request.With("aws:PrincipalTag/"+k, v)
	}
	if tags != nil {
		request = request.With("aws:ResourceTag/")
	}
	for k, v := range tags {
		request = request.With("aws:ResourceTag/"+k, v)
	}
	return request
}

// denied is IAM's message that refuses a request, empty where it is allowed.
func (r *reader) denied(request policy.Request, refusal string, err error) (string, error) {
	if err != nil {
		return "", fmt.Errorf("whether %s may do %s is not understood: %w", r.role.ARN, request, err)
	}
	if refusal == "" {
		return "", nil
	}
	return fmt.Sprintf("AccessDeniedException: User: %s is not authorized to perform: %s on resource: %s %s",
		r.role.Session, request.Action, request.Resource, refusal), nil
}

// decrypts tells whether the role may decrypt with a customer's key, on behalf of a service. Keys that AWS manages let
// everybody in who comes through their service.
func (r *reader) decrypts(ctx context.Context, key, service string, context map[string]string) (refusal string, err error) {
	if strings.HasPrefix(key, "alias/aws/") {
		return "", nil
	}
	metadata, err := r.Key(ctx, key)
	if err != nil {
		return "", err
	}
	if metadata.KeyManager == "AWS" {
		return "", nil
	}
	document, err := r.KeyPolicy(ctx, aws.ToString(metadata.KeyId))
	if err != nil {
		return "", err
	}
	p, err := policy.Parse(document)
	if err != nil {
		return "", fmt.Errorf("the policy of key %s: %w", key, err)
	}
	request := r.request("kms:Decrypt", aws.ToString(metadata.Arn), nil).
		With("kms:ViaService", service+"."+r.identity.Region+".amazonaws.com").With("kms:CallerAccount", r.identity.Account).
		With("aws:ViaAWSService", "true")
	for k, v := range context {
		request = request.With("kms:EncryptionContext:"+k, v)
	}
	refusal, err = r.role.AskKey(request, p)
	return r.denied(request, refusal, err)
}

// said is an API's answer as the container agent passes it on, without what is particular to this tool; any other error
// stays as it is.
func said(err error) (text string, is bool) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return "", false
	}
	return api.ErrorCode() + ": " + api.ErrorMessage(), true
}
