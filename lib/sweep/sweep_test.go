package sweep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func usual() Options {
	return Options{Owner: lib.DefaultOwner, OlderThan: 24 * time.Hour, Now: now}
}

// expired are the tags of a run that may be swept.
func expired() map[string]string {
	return map[string]string{
		lib.TagOwner: lib.DefaultOwner, lib.TagRun: lib.NewRun(now.Add(-48 * time.Hour)), lib.TagExpires: lib.FormatExpiry(now.Add(-42 * time.Hour)),
	}
}

// but is expired with one tag otherwise; an empty value takes it away.
func but(key, value string) map[string]string {
	tags := expired()
	if tags[key] = value; value == "" {
		delete(tags, key)
	}
	return tags
}

func queue(suffix string, tags map[string]string) inventory.Resource {
	return whole(inventory.Queue, "payment-jobs-"+suffix, suffix, tags)
}

func part(kind *inventory.Kind, name, suffix string, of ...string) inventory.Resource {
	return inventory.Resource{Kind: kind, Name: name, Suffix: suffix, ARN: "arn:" + kind.Name + ":" + name, PartOf: of}
}

func whole(kind *inventory.Kind, name, suffix string, tags map[string]string) inventory.Resource {
	return inventory.Resource{Kind: kind, Name: name, Suffix: suffix, ARN: "arn:" + kind.Name + ":" + name, Taggable: true, Tags: tags}
}

func inVPC(f inventory.Resource) inventory.Resource {
	f.VPC = "vpc-1"
	if f.Kind == inventory.VPC {
		f.ID = f.VPC
	}
	return f
}

// made plans and answers where each resource, by name, has come to, and why.
func made(t *testing.T, o Options, found ...inventory.Resource) map[string]string {
	t.Helper()
	p, err := New(found, o)
	require.NoError(t, err)
	at := map[string]string{}
	for word, list := range map[string][]Item{"delete": p.Delete, "along": p.Along, "blocked": p.Blocked, "kept": p.Kept} {
		for _, item := range list {
			require.NotEmpty(t, item.Reason, item.Name)
			at[item.Name] = word + ": " + item.Reason
		}
	}
	return at
}

func TestOnlyWhatItsOwnTagsProveIsDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		found inventory.Resource
		want  string
	}{
		"ours, old and expired":                  {queue("a", expired()), "delete: run "},
		"no tags":                                {queue("a", nil), "kept: not provably ours: it has no tag tapstack:owner"},
		"no owner":                               {queue("a", but(lib.TagOwner, "")), "kept: not provably ours: it has no tag tapstack:owner"},
		"another owner":                          {queue("a", but(lib.TagOwner, "somebody")), "kept: its owner is somebody"},
		"an owner that only starts like ours":    {queue("a", but(lib.TagOwner, "tapstack2")), "kept: its owner is tapstack2"},
		"no run":                                 {queue("a", but(lib.TagRun, "")), `kept: its run "" does not tell when it started`},
		"a run by hand":                          {queue("a", but(lib.TagRun, lib.ManualRun)), `kept: its run "manual" does not tell`},
		"a run of today":                         {queue("a", but(lib.TagRun, lib.NewRun(now.Add(-23*time.Hour)))), "kept: its run started 23h0m0s ago, which is less than 24h0m0s"},
		"a run of tomorrow":                      {queue("a", but(lib.TagRun, lib.NewRun(now.Add(time.Hour)))), "kept: its run starts in the future"},
		"a run just old enough":                  {queue("a", but(lib.TagRun, lib.NewRun(now.Add(-24*time.Hour)))), "delete: "},
		"no expiry":                              {queue("a", but(lib.TagExpires, "")), `kept: its expiry "" cannot be read`},
		"an expiry that is none":                 {queue("a", but(lib.TagExpires, "tomorrow")), `kept: its expiry "tomorrow" cannot be read`},
		"never expires":                          {queue("a", but(lib.TagExpires, lib.NeverExpires)), "kept: it never expires"},
		"expires in a second":                    {queue("a", but(lib.TagExpires, lib.FormatExpiry(now.Add(time.Second)))), "kept: it expires at 2026-11-24T12:00:01Z"},
		"expires now":                            {queue("a", but(lib.TagExpires, lib.FormatExpiry(now))), "delete: "},
		"a name that the stack never gives":      {queue("", expired()), "kept: not provably ours: the stack never gives this name"},
		"tags that cannot be read":               {inventory.Resource{Kind: inventory.Queue, Name: "payment-jobs-a", Suffix: "a", ARN: "x", Taggable: true, TagsErr: errors.New("denied")}, "kept: not provably ours: its tags cannot be read: denied"},
		"a kind that the sweep does not know":    {inventory.Resource{Kind: &inventory.Kind{Name: "pony", Removal: inventory.Removal{Never: true}}, Name: "pony-a", Suffix: "a", ARN: "x", Tags: expired()}, "kept: not provably ours: the sweep never deletes this kind"},
		"a dashboard that says it is ours":       {whole(inventory.Dashboard, "payment-platform-a", "a", expired()), "delete: "},
		"a dashboard that says nothing":          {inventory.Resource{Kind: inventory.Dashboard, Name: "payment-platform-a", Suffix: "a", ARN: "x"}, "kept: not provably ours: it cannot carry tags"},
		"an untagged thing that belongs to none": {part(inventory.NetworkInterface, "eni", ""), "kept: not provably ours: it cannot carry tags"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, got := range made(t, usual(), c.found) {
				require.Contains(t, got, c.want)
			}
		})
	}
}

func TestWhatCannotCarryTagsIsProvenByWhatItBelongsTo(t *testing.T) {
	key := whole(inventory.Key, "payment-alerts-key-a", "a", expired())
	live := whole(inventory.Key, "payment-alerts-key-b", "b", but(lib.TagExpires, lib.NeverExpires))
	logs := whole(inventory.LogGroup, "aws-waf-logs-a", "a", expired())
	for name, c := range map[string]struct {
		found []inventory.Resource
		want  string // of the first
	}{
		"an alias of our key":                  {[]inventory.Resource{part(inventory.KeyAlias, "alias/payment-alerts-a", "a", key.ARN), key}, "delete: belongs to KMS key payment-alerts-key-a"},
		"the alias of a key in use":            {[]inventory.Resource{part(inventory.KeyAlias, "alias/payment-alerts-b", "b", live.ARN), live}, "kept: it belongs to KMS key payment-alerts-key-b: it never expires"},
		"an alias of our name on another key":  {[]inventory.Resource{part(inventory.KeyAlias, "alias/payment-alerts-a", "a", "arn:other"), key}, "kept: not provably ours: it belongs to arn:other, which is not there"},
		"another's alias on our key":           {[]inventory.Resource{part(inventory.KeyAlias, "alias/mine", "", key.ARN), key}, "kept: not provably ours: it belongs to stack a, which never gives this name"},
		"another stack's alias on our key":     {[]inventory.Resource{part(inventory.KeyAlias, "alias/payment-alerts-b", "b", key.ARN), key}, "kept: not provably ours: it belongs to stack a, which never"},
		"a log policy that names ours alone":   {[]inventory.Resource{part(inventory.LogResourcePolicy, "waf-logs-policy-a", "a", logs.ARN), logs}, "delete: "},
		"a log policy that names others too":   {[]inventory.Resource{part(inventory.LogResourcePolicy, "waf-logs-policy-a", "a", logs.ARN, "*"), logs}, "kept: not provably ours: it belongs to *"},
		"a log policy that names nothing":      {[]inventory.Resource{part(inventory.LogResourcePolicy, "waf-logs-policy-a", "a"), logs}, "kept: not provably ours"},
		"a record at our load balancer":        {[]inventory.Resource{part(inventory.DNSRecord, "record", "", "arn:load balancer:alb-a"), whole(inventory.LoadBalancer, "alb-a", "a", expired())}, "delete: "},
		"a log group that RDS has made itself": {[]inventory.Resource{part(inventory.LogGroup, "/aws/rds/cluster/aurora-cluster-a/postgresql", "a", "arn:database cluster:aurora-cluster-a"), whole(inventory.DBCluster, "aurora-cluster-a", "a", expired())}, "delete: "},
		"a rule made by hand in our group":     {[]inventory.Resource{part(inventory.SecurityGroupRule, "rule", "", "arn:security group:db-sg-a"), whole(inventory.SecurityGroup, "db-sg-a", "a", expired())}, "delete: "},
		"an alarm of our scaling policy": {[]inventory.Resource{
			part(inventory.Alarm, "TargetTracking-x", "a", "arn:scaling policy:p"), part(inventory.ScalingPolicy, "p", "a", "arn:scalable target:t"),
			part(inventory.ScalableTarget, "t", "a", "arn:ECS service:s"), whole(inventory.ECSService, "s", "a", expired()),
		}, "delete: belongs to scaling policy p"},
		"a circle proves nothing": {[]inventory.Resource{part(inventory.NetworkInterface, "x", "", "arn:network interface:y"), part(inventory.NetworkInterface, "y", "", "arn:network interface:x")}, "kept: "},
		"GuardDuty's endpoint in our VPC": {[]inventory.Resource{
			inVPC(part(inventory.VPCEndpoint, "endpoint", "", "arn:VPC:vpc-a")), inVPC(whole(inventory.VPC, "vpc-a", "a", expired())),
		}, "delete: belongs to VPC vpc-a"},
		"GuardDuty's endpoint in a VPC in use": {[]inventory.Resource{
			inVPC(part(inventory.VPCEndpoint, "endpoint", "", "arn:VPC:vpc-a")), inVPC(whole(inventory.VPC, "vpc-a", "a", but(lib.TagExpires, lib.NeverExpires))),
		}, "kept: it belongs to VPC vpc-a: it never expires"},
		"an untagged queue of our key": {[]inventory.Resource{part(inventory.Queue, "payment-jobs-a", "a", key.ARN), key}, "kept: not provably ours"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, made(t, usual(), c.found...)[c.found[0].Name], c.want)
			slices.Reverse(c.found)
			require.Contains(t, made(t, usual(), c.found...)[c.found[len(c.found)-1].Name], c.want, "in another order")
		})
	}
}

func TestOneResourceInUseSpeaksForItsStack(t *testing.T) {
	dead := queue("a", expired())
	dead.Name, dead.ARN = "payment-jobs-dlq-a", "dlq"
	at := made(t, usual(), queue("a", but(lib.TagExpires, lib.FormatExpiry(now.Add(time.Hour)))), dead, queue("b", expired()))
	require.Contains(t, at["payment-jobs-dlq-a"], "kept: its stack is in use, says the queue of payment-jobs-a: it expires at ")
	require.Contains(t, at["payment-jobs-b"], "delete: ")

	theirs := queue("a", map[string]string{lib.TagOwner: "somebody", lib.TagExpires: lib.NeverExpires})
	at = made(t, usual(), theirs, dead)
	require.Contains(t, at["payment-jobs-dlq-a"], "delete: ", "another owner's things do not speak for ours")
}

func TestASuffixRestrictsTheSweep(t *testing.T) {
	o := usual()
	o.Suffix = "a"
	at := made(t, o, queue("a", expired()), queue("b", expired()), queue("", expired()))
	require.Equal(t, []string{"payment-jobs-a"}, slices.Collect(maps.Keys(at)))
	require.Contains(t, at["payment-jobs-a"], "delete")
}

func TestTheExpiryOfANamedStackCanBeIgnoredButNotItsAgeOrOwner(t *testing.T) {
	o := usual()
	o.Suffix, o.IgnoreExpiry = "a", true
	require.Contains(t, made(t, o, queue("a", but(lib.TagExpires, lib.NeverExpires)))["payment-jobs-a"], "delete: ")
	require.Contains(t, made(t, o, queue("a", but(lib.TagRun, lib.NewRun(now))))["payment-jobs-a"], "kept: its run started 0s ago")
	require.Contains(t, made(t, o, queue("a", but(lib.TagRun, lib.ManualRun)))["payment-jobs-a"], "kept: ")
	require.Contains(t, made(t, o, queue("a", but(lib.TagOwner, "somebody")))["payment-jobs-a"], "kept: ")
	o.OlderThan = 0
	require.Contains(t, made(t, o, queue("a", but(lib.TagRun, lib.NewRun(now))))["payment-jobs-a"], "delete: ")
}

func TestWhatHangsOnAResourceSparesIt(t *testing.T) {
	key := whole(inventory.Key, "key", "a", expired())
	at := made(t, usual(), key, part(inventory.KeyAlias, "alias/mine", "", key.ARN))
	require.Contains(t, at["key"], "blocked: KMS alias alias/mine hangs on it, which is kept: not provably ours")

	vpc := inVPC(whole(inventory.VPC, "vpc-a", "a", expired()))
	subnet := inVPC(whole(inventory.Subnet, "private-subnet-1-a", "a", expired()))
	theirs := inVPC(whole(inventory.Subnet, "mine", "", nil))
	at = made(t, usual(), vpc, subnet, theirs)
	require.Contains(t, at["vpc-a"], "blocked: subnet mine hangs on it")
	require.Contains(t, at["private-subnet-1-a"], "delete: ")

	group := part(inventory.SecurityGroup, "default", "", vpc.ARN)
	group.RemovedByAWS = true
	at = made(t, usual(), vpc, subnet, inVPC(group))
	require.Contains(t, at["vpc-a"], "delete: ", "what AWS removes with the VPC does not hold it")
	require.Contains(t, at["default"], "along: ")

	balancer := inVPC(whole(inventory.LoadBalancer, "alb-a", "a", expired()))
	listener := part(inventory.Listener, "theirs", "", balancer.ARN)
	listener.Tags = but(lib.TagOwner, "somebody")
	at = made(t, usual(), vpc, balancer, listener)
	require.Contains(t, at["alb-a"], "blocked: listener theirs hangs on it, which is kept: its owner is somebody")
	require.Contains(t, at["vpc-a"], "blocked: load balancer alb-a hangs on it", "and what that hangs on")

	record := part(inventory.DNSRecord, "record", "", "arn:other", balancer.ARN)
	require.Contains(t, made(t, usual(), balancer, record)["alb-a"], "delete: ", "a record does not hold a load balancer")
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for _, change := range []func(*Options){
		func(o *Options) { o.Owner = "" },
		func(o *Options) { o.OlderThan = -time.Second },
		func(o *Options) { o.IgnoreExpiry = true },
		func(o *Options) { o.Now = time.Time{} },
	} {
		o := usual()
		change(&o)
		_, err := New(nil, o)
		require.Error(t, err)
	}
}

func TestEveryKindCanBeDeletedSaveThoseThatNeverAre(t *testing.T) {
	calls := removals()
	for _, k := range inventory.Kinds() {
		assert.Equal(t, !k.Removal.Never, calls[k].remove != nil, "lib/sweep/remove.go must say how the %s is deleted, if it ever is", k)
	}
}

func TestTheOrderOfDeletionKeepsWhatIsUsedUntilItsUsersAreGone(t *testing.T) {
	order := inventory.RemovalOrder()
	for _, chain := range [][]*inventory.Kind{
		{inventory.Alarm, inventory.ScalingPolicy, inventory.ScalableTarget, inventory.ECSService, inventory.ECSCluster, inventory.LogGroup},
		{inventory.ECSService, inventory.TaskDefinition},
		{inventory.ECSService, inventory.LoadBalancer, inventory.WebACL},
		{inventory.ListenerRule, inventory.Listener, inventory.LoadBalancer, inventory.Bucket},
		{inventory.Listener, inventory.TargetGroup},
		{inventory.Listener, inventory.Certificate},
		{inventory.DNSRecord, inventory.LoadBalancer},
		{inventory.DBInstance, inventory.DBCluster, inventory.DBSubnetGroup},
		{inventory.DBCluster, inventory.DBClusterParameterGroup},
		{inventory.DBCluster, inventory.LogGroup},
		{inventory.DBCluster, inventory.SecurityGroup},
		{inventory.EventSubscription, inventory.Topic, inventory.Key},
		{inventory.EventRule, inventory.Topic},
		{inventory.KeyAlias, inventory.Key},
		{inventory.LogResourcePolicy, inventory.LogGroup},
		{inventory.FlowLog, inventory.LogGroup},
		{inventory.NATGateway, inventory.ElasticIP, inventory.InternetGateway, inventory.VPC},
		{inventory.VPCEndpoint, inventory.NetworkInterface, inventory.SecurityGroup, inventory.VPC},
		{inventory.NetworkInterface, inventory.Subnet, inventory.VPC},
		{inventory.SecurityGroupRule, inventory.SecurityGroup},
		{inventory.RouteTable, inventory.VPC},
		{inventory.ECSService, inventory.Role},
		{inventory.FlowLog, inventory.Role},
	} {
		for i, later := range chain[1:] {
			assert.Less(t, slices.Index(order, chain[i]), slices.Index(order, later), "%s goes before %s", chain[i], later)
		}
	}
	// What cannot carry tags goes before what proves it, so that a sweep can be repeated.
	p, err := New([]inventory.Resource{
		whole(inventory.Key, "key", "a", expired()), part(inventory.KeyAlias, "alias", "a", "arn:KMS key:key"),
	}, usual())
	require.NoError(t, err)
	require.Equal(t, inventory.KeyAlias, p.Delete[0].Kind)
}

func TestErrorsThatPassAreTriedAgainAndOthersAreNot(t *testing.T) {
	coded := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }
	for _, c := range []struct {
		err          error
		again, fails bool
	}{
		{coded("DependencyViolation"), true, false},
		{coded("ResourceInUseException"), true, false},
		{coded("InvalidDBClusterStateFault"), true, false},
		{coded("WAFAssociatedItemException"), true, false},
		{coded("ClusterContainsServicesException"), true, false},
		{fmt.Errorf("%w: in-use", errBusy), true, false},
		{coded("InvalidVpcID.NotFound"), false, false},
		{coded("NoSuchEntity"), false, false},
		{coded("ServiceNotActiveException"), false, false},
		{coded("KMSInvalidStateException"), false, false},
		{coded("AccessDenied"), false, true},
		{coded("UnauthorizedOperation"), false, true},
		{errors.New("no route to host"), false, true},
	} {
		calls := 0
		err := retry(t.Context(), time.Minute, func() error {
			if calls++; calls == 1 {
				return c.err
			}
			return nil
		})
		require.Equal(t, c.fails, err != nil, "%v", c.err)
		require.Equal(t, c.again, calls == 2, "%v", c.err)
	}
	err := retry(t.Context(), time.Millisecond, func() error { return coded("DependencyViolation") })
	require.ErrorContains(t, err, "still there")
	require.ErrorContains(t, err, "DependencyViolation", "the last answer is told")
}

func TestWhatAFailedResourceProvesIsNotTried(t *testing.T) {
	x := &execution{held: map[string]string{}}
	alias := Item{Resource: part(inventory.KeyAlias, "alias/a", "a", "arn:key")}
	x.note(alias, errors.New("denied"), 0)
	require.Equal(t, "KMS alias alias/a is still there", x.whyHeld("arn:key"))
	subnet := Item{Resource: inVPC(whole(inventory.Subnet, "s", "a", nil))}
	x.note(subnet, errors.New("denied"), 0)
	require.Equal(t, "subnet s is still there", x.whyHeld("arn:aws:ec2:us-east-1:1:vpc/vpc-1"))
	require.Empty(t, x.whyHeld("arn:aws:ec2:us-east-1:1:vpc/vpc-2"))
	x.note(Item{Resource: part(inventory.Queue, "q", "a", "arn:other")}, nil, 0)
	require.Empty(t, x.whyHeld("arn:other"), "what is gone holds nothing")
	called := false
	err := x.remove(t.Context(), removal{remove: func(context.Context, *cloud.Clients, inventory.Resource) error { called = true; return nil }},
		Item{Resource: inventory.Resource{ARN: "arn:key"}})
	require.ErrorContains(t, err, "not tried")
	require.False(t, called)
}
