// Package inventory knows the kinds of AWS resources that the stack is made of: one Kind each, a file for each service.
// From it the leak proof knows where to look, the sweeper in which order and on what proof to delete, the preflight which
// quotas to ask for, the cost estimate what is free, and the nightly role which ARNs it may touch. Which names the stack
// gives it learns from the program itself. It only reads.
package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tapstack/lib/cloud"
	"tapstack/lib/declared"
)

// Kind is a kind of AWS resource.
type Kind struct {
	// Name is what a reader calls it.
	Name string
	// Service is the prefix of its service in ARNs and IAM actions.
	Service string
	// Types are the Pulumi types that make one. Of a kind without any, the stack has none, or AWS makes them.
	Types []string
	// Parts are the Pulumi types of what is no resource of its own but part of one of these, each with the reason why it
	// costs nothing, which is empty where it costs something.
	Parts map[string]string
	// NameInput is the input of Types that is its name. Where that is not set, the Name tag is.
	NameInput string
	// AWSNames are names that AWS gives.
	AWSNames []AWSName
	// Untagged kinds cannot carry tags, or not by the stack.
	Untagged bool
	// Removal is how the sweeper treats it.
	Removal Removal
	// Quota bounds how many an account may have; nil where no stack comes near.
	Quota *Quota
	// Lost is what goes with one, or stops with it, so that no deployment may replace or delete it by accident; empty where
	// a new one is as good.
	Lost string
	// Free is why it costs nothing; empty where it costs something.
	Free string
	// IAM is how policies name it.
	IAM []IAMResource
	// NotInIAM is why no policy names it.
	NotInIAM string

	list func(context.Context, *search) ([]Resource, error)
	// tags asks for the tags of one, where the list does not have them.
	tags func(context.Context, *search, Resource) (map[string]string, error)

	readNames    sync.Once
	programNames []string
}

// Kinds are all of them, service by service.
func Kinds() []*Kind {
	return slices.Concat(
		ec2Kinds(), rdsKinds(), sqsKinds(), snsKinds(), secretsManagerKinds(), ssmKinds(), s3Kinds(), kmsKinds(), ecsKinds(),
		autoScalingKinds(), elbKinds(), wafKinds(), acmKinds(), logsKinds(), cloudWatchKinds(), eventBridgeKinds(), iamKinds(),
		route53Kinds(), []*Kind{Other},
	)
}

// RemovalOrder is every kind in the order in which the sweeper deletes them: what uses something before what is used, what
// cannot be tagged before what proves whose it is, and last the log groups and the bucket that services go on writing to
// while they end.
func RemovalOrder() []*Kind {
	return []*Kind{
		Alarm, Dashboard, EventRule, DNSRecord, EventSubscription,
		ScalingPolicy, ScalableTarget, ECSService, ListenerRule, Listener, LoadBalancer, TargetGroup, WebACL, Certificate, TaskDefinition, ECSCluster,
		DBSnapshot, DBInstance, DBCluster, DBClusterBackup, DBSubnetGroup, DBClusterParameterGroup,
		Queue, Topic, Secret, Parameter, KeyAlias, Key,
		VPCEndpoint, NATGateway, ElasticIP, FlowLog, NetworkInterface, SecurityGroupRule, SecurityGroup, Subnet, RouteTable, InternetGateway, VPC,
		Role, LogResourcePolicy, LogGroup, Bucket,
		Policy, Other,
	}
}

// Other is what the tagging API finds of services that no other kind is of. The stack makes none.
var Other = &Kind{Name: "other resource", Untagged: true, Removal: Removal{Never: true}, Free: notDeclared, NotInIAM: notDeclared}

// Why kinds cost nothing, or are not in policies.
const (
	noCharge    = "AWS makes no charge for it"
	partOf      = "part of another resource, which is billed"
	notInCloud  = "not in the cloud"
	notDeclared = "the program declares none"
)

// NotInCloud are the Pulumi types of what exists in the state only.
func NotInCloud() []string {
	return []string{
		"pulumi:providers:aws", "pulumi:providers:pulumi", "pulumi:providers:random", "pulumi:pulumi:Stack",
		"random:index/randomBytes:RandomBytes", "random:index/randomPassword:RandomPassword",
	}
}

// Lost is what is lost with a resource of a Pulumi type; empty where nothing is.
func Lost(token string) string {
	if k := kindOf(token); k != nil {
		return k.Lost
	}
	return ""
}

// kindOf is the kind that a Pulumi type makes; nil for what is no resource of its own.
func kindOf(token string) *Kind {
	for _, k := range Kinds() {
		if slices.Contains(k.Types, token) {
			return k
		}
	}
	return nil
}

// FreeTypes are the Pulumi types that cost nothing by themselves, with the reason.
func FreeTypes() map[string]string {
	free := map[string]string{}
	note := func(token, why string) {
		if why != "" {
			free[token] = why
		}
	}
	for _, k := range Kinds() {
		for _, token := range k.Types {
			note(token, k.Free)
		}
		for token, why := range k.Parts {
			note(token, why)
		}
	}
	for _, token := range NotInCloud() {
		note(token, notInCloud)
	}
	return free
}

// Removal is how the sweeper treats a kind; the deletion itself is lib/sweep's. RemovalOrder says when its turn comes.
type Removal struct {
	// Never kinds are not deleted: what is found is told, and kept.
	Never bool
	Proof Proof
	// HoldsOwner says that what it is part of cannot be deleted without it.
	HoldsOwner bool
	// Limit bounds how long the removal is tried, and how long its end is waited for.
	Limit time.Duration
}

// Proof is how one without tags of its own is proven to be the stack's. What has an owner tag is always judged by its tags.
type Proof int

const (
	ByTags         Proof = iota // by nothing else
	ByOwnerAndName              // by what it is part of, and a name that the stack gives
	ByOwner                     // by what it is part of alone: AWS or nobody names it
)

const (
	networkLimit  = 15 * time.Minute // the network interfaces of services that are gone linger on
	databaseLimit = 40 * time.Minute
)

// Quota is a limit of the account.
type Quota struct {
	What string // the plural of what it limits
	// Service and Code are those of Service Quotas ("AWS service endpoints and quotas" in the AWS General Reference); empty
	// where that does not tell.
	Service, Code string
	// Limit holds for every account, where Service Quotas does not tell.
	Limit int
	// PerZone quotas hold for each availability zone.
	PerZone bool
	// Input and Value, where set, are an input that the counted ones have.
	Input, Value string
}

// Counts tells whether a declared resource counts towards the quota of a kind.
func (k *Kind) Counts(r declared.Resource) bool {
	return slices.Contains(k.Types, r.Type) && (k.Quota.Input == "" || r.Text(k.Quota.Input) == k.Quota.Value)
}

// IAMResource is how IAM policies name resources of a kind.
type IAMResource struct {
	// Sid is its part in the names of statements.
	Sid string
	// Types are what the service authorization reference calls it; none stands for all types of the service.
	Types []string
	// ARN is its whole ARN, or what follows the account there. {name} is the name of one; * is what AWS makes up. Without a
	// name, tags tell whose it is.
	ARN string
	// NamesOf is the kind whose names stand for {name}, if it is another.
	NamesOf *Kind
	// Pattern stands for all names that the program gives, where a policy has no room for them.
	Pattern string
	// ByOthers says that the stack does not make it, but that it goes with the stack.
	ByOthers bool
}

// Resource is one resource in an account.
type Resource struct {
	Kind *Kind `json:"kind"`
	// Name is its name, or its Name tag where it has none of its own.
	Name string `json:"name"`
	// Suffix is the environmentSuffix that Name tells; empty when the stack never gives such a name.
	Suffix string `json:"suffix,omitempty"`
	ARN    string `json:"arn"`
	// ID is what the service's own calls want: the id of an EC2 resource, the URL of a queue, else the name or ARN.
	ID string `json:"id"`
	// VPC is the one that it stands in, where it does.
	VPC string `json:"vpc,omitempty"`
	// PartOf holds the ARNs of what it is part of or made for; all of them together tell whose it is, where it cannot itself.
	PartOf []string `json:"of,omitempty"`
	// RemovedByAWS says that AWS makes it and removes it with what it is part of: no call deletes it.
	RemovedByAWS bool `json:"bound,omitempty"`
	// Taggable tells whether the kind carries tags.
	Taggable bool `json:"taggable"`
	// Tags are the resource's own, or what stands in for them in its body. TagsErr is why they are not known.
	Tags    map[string]string `json:"tags,omitempty"`
	TagsErr error             `json:"-"`

	// Made is when it came to be, of a bucket only.
	Made time.Time `json:"-"`

	// ofStack says that it is part of something that is the stack's own, whatever its own name.
	ofStack bool
}

// String is the resource in one line.
func (r Resource) String() string { return fmt.Sprintf("%s %s (%s)", r.Kind, r.Name, r.ARN) }

func (k *Kind) String() string { return k.Name }

// MarshalText makes the name stand for the kind in JSON.
func (k *Kind) MarshalText() ([]byte, error) { return []byte(k.Name), nil }

// List lists what the account and region have of a kind, tags aside where those are asked for one by one.
func (k *Kind) List(ctx context.Context, r *cloud.Reader) ([]Resource, error) {
	return (&search{Reader: r}).list(ctx, k)
}

// search looks through an account and region for the resources of the stack with one suffix or, without one, of any.
type search struct {
	*cloud.Reader
	suffix  string
	outputs map[string]any // of the stack, where they are known
}

// mayOwn tells whether a resource of this name may be what is looked for.
func (s *search) mayOwn(k *Kind, name string) bool {
	return s.owns(k, name) || s.suffix != "" && k.Ownership(name, s.suffix) == Unclear
}

// owns tells whether the name of a resource alone makes it what is looked for.
func (s *search) owns(k *Kind, name string) bool {
	if s.suffix == "" {
		return k.SuffixIn(name) != ""
	}
	return k.Ownership(name, s.suffix) == Own
}

// lister is how a kind is listed. Go lets no variable of a kind name a function that names that kind.
func (k *Kind) lister() func(context.Context, *search) ([]Resource, error) {
	switch k {
	case Key:
		return listKeys
	case Certificate:
		return listCertificates
	case Other:
		return listOthers
	}
	return k.list
}

// list lists a kind.
func (s *search) list(ctx context.Context, k *Kind) ([]Resource, error) {
	all, err := k.lister()(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("listing each %s: %w", k, err)
	}
	for i := range all {
		all[i].complete(k)
	}
	return all, nil
}

// complete fills in what follows from the rest.
func (r *Resource) complete(k *Kind) {
	r.Kind, r.Suffix, r.Taggable = k, k.SuffixIn(r.Name), !k.Untagged
	if r.ID == "" && strings.Contains(r.ARN, ":ec2:") {
		r.ID = r.ARN[strings.LastIndex(r.ARN, "/")+1:]
	}
	if r.ID == "" {
		r.ID = r.Name
	}
}

// each lists what the account has of a kind, as resources.
func each[T any](
	read func(*cloud.Reader, context.Context) ([]T, error), resource func(context.Context, *search, T) Resource,
) func(context.Context, *search) ([]Resource, error) {
	return func(ctx context.Context, s *search) ([]Resource, error) {
		all, err := read(s.Reader, ctx)
		return listed(all, err, func(item T) Resource { return resource(ctx, s, item) })
	}
}

// listed makes resources of the items of an answer.
func listed[T any](items []T, err error, each func(T) Resource) ([]Resource, error) {
	if err != nil {
		return nil, err
	}
	all := make([]Resource, len(items))
	for i, item := range items {
		all[i] = each(item)
	}
	return all, nil
}

// concurrency bounds the calls that are made at a time.
const concurrency = 8

// collect puts together what work makes of each item, in the order of the items. All errors are told.
func collect[T, R any](items []T, work func(T) ([]R, error)) ([]R, error) {
	made := make([][]R, len(items))
	faults := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(concurrency)
	for i, item := range items {
		group.Go(func() error {
			made[i], faults[i] = work(item)
			return nil
		})
	}
	_ = group.Wait() // no work returns its error to the group
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return slices.Concat(made...), nil
}
