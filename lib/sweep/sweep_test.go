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
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/verify"
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

func queue(suffix string, tags map[string]string) verify.Found {
	name := "payment-jobs-" + suffix
	return verify.Found{Kind: "queue", Name: name, Suffix: suffix, ARN: "arn:queue:" + name, Taggable: true, Tags: tags}
}

func part(kind, name, suffix string, of ...string) verify.Found {
	return verify.Found{Kind: kind, Name: name, Suffix: suffix, ARN: "arn:" + kind + ":" + name, Of: of}
}

func whole(kind, name, suffix string, tags map[string]string) verify.Found {
	return verify.Found{Kind: kind, Name: name, Suffix: suffix, ARN: "arn:" + kind + ":" + name, Taggable: true, Tags: tags}
}

func inVPC(f verify.Found, vpc string) verify.Found {
	f.VPC = vpc
	if f.Kind == "VPC" {
		f.ID = vpc
	}
	return f
}

// made plans and answers where each resource, by name, has come to, and why.
func made(t *testing.T, o Options, found ...verify.Found) map[string]string {
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
		found verify.Found
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
		"tags that cannot be read":               {verify.Found{Kind: "queue", Name: "payment-jobs-a", Suffix: "a", ARN: "x", Taggable: true, TagsErr: errors.New("denied")}, "kept: not provably ours: its tags cannot be read: denied"},
		"a kind that the sweep does not know":    {verify.Found{Kind: "pony", Name: "pony-a", Suffix: "a", ARN: "x", Tags: expired()}, "kept: not provably ours: the sweep does not know this kind"},
		"a dashboard that says it is ours":       {whole("dashboard", "payment-platform-a", "a", expired()), "delete: "},
		"a dashboard that says nothing":          {verify.Found{Kind: "dashboard", Name: "payment-platform-a", Suffix: "a", ARN: "x"}, "kept: not provably ours: it cannot carry tags"},
		"an untagged thing that belongs to none": {part("network interface", "eni", ""), "kept: not provably ours: it cannot carry tags"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, got := range made(t, usual(), c.found) {
				require.Contains(t, got, c.want)
			}
		})
	}
}

func TestWhatCannotCarryTagsIsProvenByWhatItBelongsTo(t *testing.T) {
	key := whole("KMS key", "payment-alerts-key-a", "a", expired())
	live := whole("KMS key", "payment-alerts-key-b", "b", but(lib.TagExpires, lib.NeverExpires))
	logs := whole("log group", "aws-waf-logs-a", "a", expired())
	for name, c := range map[string]struct {
		found []verify.Found
		want  string // of the first
	}{
		"an alias of our key":                  {[]verify.Found{part("KMS alias", "alias/payment-alerts-a", "a", key.ARN), key}, "delete: belongs to KMS key payment-alerts-key-a"},
		"the alias of a key in use":            {[]verify.Found{part("KMS alias", "alias/payment-alerts-b", "b", live.ARN), live}, "kept: it belongs to KMS key payment-alerts-key-b: it never expires"},
		"an alias of our name on another key":  {[]verify.Found{part("KMS alias", "alias/payment-alerts-a", "a", "arn:other"), key}, "kept: not provably ours: it belongs to arn:other, which is not there"},
		"another's alias on our key":           {[]verify.Found{part("KMS alias", "alias/mine", "", key.ARN), key}, "kept: not provably ours: it belongs to stack a, which never gives this name"},
		"another stack's alias on our key":     {[]verify.Found{part("KMS alias", "alias/payment-alerts-b", "b", key.ARN), key}, "kept: not provably ours: it belongs to stack a, which never"},
		"a log policy that names ours alone":   {[]verify.Found{part("log resource policy", "waf-logs-policy-a", "a", logs.ARN), logs}, "delete: "},
		"a log policy that names others too":   {[]verify.Found{part("log resource policy", "waf-logs-policy-a", "a", logs.ARN, "*"), logs}, "kept: not provably ours: it belongs to *"},
		"a log policy that names nothing":      {[]verify.Found{part("log resource policy", "waf-logs-policy-a", "a"), logs}, "kept: not provably ours"},
		"a record at our load balancer":        {[]verify.Found{part("DNS record", "record", "", "arn:load balancer:alb-a"), whole("load balancer", "alb-a", "a", expired())}, "delete: "},
		"a log group that RDS has made itself": {[]verify.Found{part("log group", "/aws/rds/cluster/aurora-cluster-a/postgresql", "a", "arn:database cluster:aurora-cluster-a"), whole("database cluster", "aurora-cluster-a", "a", expired())}, "delete: "},
		"a rule made by hand in our group":     {[]verify.Found{part("security group rule", "rule", "", "arn:security group:db-sg-a"), whole("security group", "db-sg-a", "a", expired())}, "delete: "},
		"an alarm of our scaling policy": {[]verify.Found{
			part("alarm", "TargetTracking-x", "a", "arn:scaling policy:p"), part("scaling policy", "p", "a", "arn:scalable target:t"),
			part("scalable target", "t", "a", "arn:ECS service:s"), whole("ECS service", "s", "a", expired()),
		}, "delete: belongs to scaling policy p"},
		"a circle proves nothing":      {[]verify.Found{part("network interface", "x", "", "arn:network interface:y"), part("network interface", "y", "", "arn:network interface:x")}, "kept: "},
		"an untagged queue of our key": {[]verify.Found{part("queue", "payment-jobs-a", "a", key.ARN), key}, "kept: not provably ours"},
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
	key := whole("KMS key", "key", "a", expired())
	at := made(t, usual(), key, part("KMS alias", "alias/mine", "", key.ARN))
	require.Contains(t, at["key"], "blocked: KMS alias alias/mine hangs on it, which is kept: not provably ours")

	vpc := inVPC(whole("VPC", "vpc-a", "a", expired()), "vpc-1")
	subnet := inVPC(whole("subnet", "private-subnet-1-a", "a", expired()), "vpc-1")
	theirs := inVPC(whole("subnet", "mine", "", nil), "vpc-1")
	at = made(t, usual(), vpc, subnet, theirs)
	require.Contains(t, at["vpc-a"], "blocked: subnet mine hangs on it")
	require.Contains(t, at["private-subnet-1-a"], "delete: ")

	group := part("security group", "default", "", vpc.ARN)
	group.Bound = true
	at = made(t, usual(), vpc, subnet, inVPC(group, "vpc-1"))
	require.Contains(t, at["vpc-a"], "delete: ", "what AWS removes with the VPC does not hold it")
	require.Contains(t, at["default"], "along: ")

	balancer := inVPC(whole("load balancer", "alb-a", "a", expired()), "vpc-1")
	listener := part("listener", "theirs", "", balancer.ARN)
	listener.Tags = but(lib.TagOwner, "somebody")
	at = made(t, usual(), vpc, balancer, listener)
	require.Contains(t, at["alb-a"], "blocked: listener theirs hangs on it, which is kept: its owner is somebody")
	require.Contains(t, at["vpc-a"], "blocked: load balancer alb-a hangs on it", "and what that hangs on")

	record := part("DNS record", "record", "", "arn:other", balancer.ARN)
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

func TestEveryKindThatIsFoundHasAPlaceInTheOrder(t *testing.T) {
	var swept []string
	for _, r := range rows() {
		swept = append(swept, r.kind)
	}
	require.ElementsMatch(t, verify.Kinds(), swept)
}

func TestTheOrderOfDeletionKeepsWhatIsUsedUntilItsUsersAreGone(t *testing.T) {
	for _, pair := range [][2]string{
		{"scaling policy", "scalable target"},
		{"alarm", "scaling policy"},
		{"scalable target", "ECS service"},
		{"ECS service", "ECS cluster"},
		{"ECS service", "load balancer"},
		{"ECS service", "IAM role"},
		{"ECS service", "task definition"},
		{"listener rule", "listener"},
		{"listener", "load balancer"},
		{"listener", "target group"},
		{"listener", "certificate"},
		{"load balancer", "web ACL"},
		{"load balancer", "bucket"},
		{"DNS record", "load balancer"},
		{"database instance", "database cluster"},
		{"database cluster", "database subnet group"},
		{"database cluster", "database cluster parameter group"},
		{"database cluster", "log group"},
		{"database cluster", "security group"},
		{"ECS cluster", "log group"},
		{"RDS event subscription", "topic"},
		{"event rule", "topic"},
		{"topic", "KMS key"},
		{"KMS alias", "KMS key"},
		{"log resource policy", "log group"},
		{"flow log", "log group"},
		{"flow log", "IAM role"},
		{"NAT gateway", "Elastic IP"},
		{"Elastic IP", "internet gateway"},
		{"VPC endpoint", "network interface"},
		{"network interface", "security group"},
		{"network interface", "subnet"},
		{"security group rule", "security group"},
		{"subnet", "VPC"},
		{"route table", "VPC"},
		{"security group", "VPC"},
		{"internet gateway", "VPC"},
	} {
		require.Less(t, place(pair[0]), place(pair[1]), "%s goes before %s", pair[0], pair[1])
	}
	// What cannot carry tags goes before what proves it, so that a sweep can be repeated.
	p, err := New([]verify.Found{
		whole("KMS key", "key", "a", expired()), part("KMS alias", "alias", "a", "arn:KMS key:key"),
	}, usual())
	require.NoError(t, err)
	require.Equal(t, "KMS alias", p.Delete[0].Kind)
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
		err := persist(t.Context(), time.Minute, func() error {
			if calls++; calls == 1 {
				return c.err
			}
			return nil
		})
		require.Equal(t, c.fails, err != nil, "%v", c.err)
		require.Equal(t, c.again, calls == 2, "%v", c.err)
	}
	err := persist(t.Context(), time.Millisecond, func() error { return coded("DependencyViolation") })
	require.ErrorContains(t, err, "still there")
	require.ErrorContains(t, err, "DependencyViolation", "the last answer is told")
}

func TestWhatAFailedResourceProvesIsNotTried(t *testing.T) {
	x := &execution{held: map[string]string{}}
	alias := Item{Found: part("KMS alias", "alias/a", "a", "arn:key")}
	x.note(alias, errors.New("denied"), 0)
	require.Equal(t, "KMS alias alias/a is still there", x.whyHeld("arn:key"))
	subnet := Item{Found: inVPC(whole("subnet", "s", "a", nil), "vpc-1")}
	x.note(subnet, errors.New("denied"), 0)
	require.Equal(t, "subnet s is still there", x.whyHeld("arn:aws:ec2:us-east-1:1:vpc/vpc-1"))
	require.Empty(t, x.whyHeld("arn:aws:ec2:us-east-1:1:vpc/vpc-2"))
	x.note(Item{Found: part("queue", "q", "a", "arn:other")}, nil, 0)
	require.Empty(t, x.whyHeld("arn:other"), "what is gone holds nothing")
	called := false
	err := x.remove(t.Context(), row{remove: func(context.Context, *cloud.Clients, verify.Found) error { called = true; return nil }},
		Item{Found: verify.Found{ARN: "arn:key"}})
	require.ErrorContains(t, err, "not tried")
	require.False(t, called)
}

func TestPollStopsAtTheEndOfItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := until(ctx, time.Hour, func() (bool, error) { cancel(); return false, nil })
	require.ErrorIs(t, err, context.Canceled)
}
