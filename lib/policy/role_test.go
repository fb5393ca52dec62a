package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	askingRole    = "arn:aws:iam::" + account + ":role/reader"
	askingSession = "arn:aws:sts::" + account + ":assumed-role/reader/task"
	other         = "210987654321"
)

func TestARoleGetsWhatEitherSideAllowsAndNobodyDenies(t *testing.T) {
	const (
		allow     = `{"Effect":"Allow","Action":"s:Read","Resource":"*"}`
		nothing   = `{"Effect":"Allow","Action":"s:Write","Resource":"*"}`
		denies    = `{"Effect":"Deny","Action":"s:Read","Resource":"*"}`
		noOne     = "because no identity-based policy allows the s:Read action"
		noOther   = "because no resource-based policy allows the s:Read action"
		onBoth    = "with an explicit deny in a resource-based policy"
		unbounded = "because no permissions boundary allows the s:Read action"
	)
	by := func(principal, rest string) string {
		return `{"Effect":"Allow","Principal":` + principal + `,"Action":"s:Read","Resource":"*"` + rest + `}`
	}
	allBut := func(arn string) string {
		return `{"Effect":"Deny","Principal":"*","Action":"s:Read","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":["` + arn + `"]}}}`
	}
	for what, c := range map[string]struct{ identity, resource, boundary, owner, want string }{
		"its policy allows":                              {allow, "", "", account, ""},
		"its policy does not":                            {nothing, "", "", account, noOne},
		"its policy denies":                              {denies, by(`"*"`, ""), "", account, "with an explicit deny in an identity-based policy"},
		"the resource's lets the role in":                {nothing, by(`{"AWS":"`+askingRole+`"}`, ""), "", account, ""},
		"the resource's lets the session in":             {nothing, by(`{"AWS":"`+askingSession+`"}`, ""), "", account, ""},
		"the resource's lets everybody in":               {nothing, by(`"*"`, ""), "", account, ""},
		"the resource's lets another role in":            {nothing, by(`{"AWS":"`+askingRole+`2"}`, ""), "", account, noOne},
		"the resource's lets the account in":             {nothing, by(`{"AWS":"arn:aws:iam::`+account+`:root"}`, ""), "", account, noOne},
		"the resource's lets in under conditions":        {nothing, by(`"*"`, `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"`+other+`"}}`), "", account, noOne},
		"the resource's denies all but it":               {allow, allBut(askingRole), "", account, ""},
		"the resource's denies all but others":           {allow, allBut("arn:aws:iam::" + account + ":role/other"), "", account, onBoth},
		"the resource's denies who comes without TLS":    {allow, `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, "", account, ""},
		"the resource's denies the account":              {allow, `{"Effect":"Deny","Principal":{"AWS":"` + account + `"},"Action":"*","Resource":"*"}`, "", account, onBoth},
		"a boundary allows":                              {allow, "", allow, account, ""},
		"a boundary does not":                            {allow, "", nothing, account, unbounded},
		"a boundary denies":                              {allow, "", denies, account, "with an explicit deny in a permissions boundary"},
		"a boundary bounds what the resource's lets":     {nothing, by(`{"AWS":"`+askingRole+`"}`, ""), nothing, account, unbounded},
		"another account's resource":                     {allow, "", "", other, noOther},
		"another account's resource which lets us in":    {allow, by(`{"AWS":"`+account+`"}`, ""), "", other, ""},
		"another account's resource alone lets us in":    {nothing, by(`{"AWS":"`+askingRole+`"}`, ""), "", other, noOne},
		"nothing on either side of another account":      {nothing, "", "", other, noOne},
		"an allow by a tag that the resource has":        {`{"Effect":"Allow","Action":"s:Read","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/app":"pay"}}}`, "", "", account, ""},
		"an allow by a tag that the resource lacks":      {`{"Effect":"Allow","Action":"s:Read","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"pay"}}}`, "", "", account, noOne},
		"a deny of what lacks a tag that it does lack":   {`{"Effect":"Deny","Action":"s:Read","Resource":"*","Condition":{"Null":{"aws:ResourceTag/team":"true"}}}`, "", "", account, "with an explicit deny in an identity-based policy"},
		"a boundary of another account's role is no bar": {allow, by(`"*"`, ""), allow, other, ""},
	} {
		documents := map[string]string{"p": `{"Statement":` + c.identity + `}`}
		boundary := ""
		if c.boundary != "" {
			boundary = `{"Statement":` + c.boundary + `}`
		}
		r, err := ParseRole(askingRole, askingSession, documents, boundary)
		require.NoError(t, err, what)
		var resource *Policy
		if c.resource != "" {
			p := statement(t, c.resource)
			resource = &p
		}
		request := request("s:Read", "arn:x").With("aws:PrincipalArn", askingRole).With("aws:PrincipalAccount", account).
			With("aws:SecureTransport", "true").With("aws:ResourceTag/").With("aws:ResourceTag/App", "pay")
		refusal, err := r.Ask(request, c.owner, resource)
		require.NoError(t, err, what)
		assert.Equal(t, c.want, refusal, what)
	}
}

func TestAKeysPolicyDecidesOrLeavesItToTheAccount(t *testing.T) {
	const allow, nothing = `{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}`, `{"Effect":"Allow","Action":"s:Read","Resource":"*"}`
	for what, c := range map[string]struct{ identity, principal, want string }{
		"left to the account, which allows":       {allow, "arn:aws:iam::" + account + ":root", ""},
		"left to the account, which does not":     {nothing, "arn:aws:iam::" + account + ":root", "because no identity-based policy allows the kms:Decrypt action"},
		"the key names the role":                  {nothing, askingRole, ""},
		"the key names another, the role may all": {allow, askingRole + "2", "because no resource-based policy allows the kms:Decrypt action"},
	} {
		r, err := ParseRole(askingRole, askingSession, map[string]string{"p": `{"Statement":` + c.identity + `}`}, "")
		require.NoError(t, err, what)
		refusal, err := r.AskKey(request("kms:Decrypt", "arn:key"), statement(t, `{"Effect":"Allow","Principal":{"AWS":"`+c.principal+`"},"Action":"kms:*","Resource":"*"}`))
		require.NoError(t, err, what)
		assert.Equal(t, c.want, refusal, what)
	}
}

func TestARoleIsAssumedAsItsTrustPolicySays(t *testing.T) {
	context := map[string][]string{"aws:sourceaccount": {account}, "aws:sourcearn": {"arn:aws:ecs:us-east-1:" + account + ":task/c/1"}}
	const by = `"Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"`
	for text, want := range map[string]Decision{
		`{"Effect":"Allow",` + by + `}`: Allowed,
		`{"Effect":"Allow",` + by + `,"Condition":{"StringEquals":{"aws:SourceAccount":"` + account + `"},"ArnLike":{"aws:SourceArn":"arn:aws:ecs:us-east-1:` + account + `:*"}}}`: Allowed,
		`{"Effect":"Allow",` + by + `,"Condition":{"StringEquals":{"aws:SourceAccount":"` + other + `"}}}`:                                                                         Denied,
		`{"Effect":"Allow",` + by + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:ecs:us-east-1:` + account + `:cluster/c"}}}`:                                                Denied,
		`{"Effect":"Allow","Principal":{"Service":"ecs.amazonaws.com"},"Action":"sts:AssumeRole"}`:                                                                                 Denied,
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"sts:AssumeRole"}`:                                                                     Denied,
		`{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:TagSession"}`:                                                                           Denied,
	} {
		got, err := MayAssume(statement(t, text), "ecs-tasks.amazonaws.com", context)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	both := mustParse(t, `{"Statement":[{"Effect":"Allow",`+by+`},{"Effect":"Deny",`+by+`}]}`)
	got, err := MayAssume(both, "ecs-tasks.amazonaws.com", context)
	require.NoError(t, err)
	assert.Equal(t, Denied, got)
}

func TestAPrincipalByExclusionIsNotUnderstood(t *testing.T) {
	p := statement(t, `{"Effect":"Deny","NotPrincipal":{"AWS":"`+askingRole+`"},"Action":"s:Read","Resource":"*"}`)
	_, err := Role{ARN: askingRole}.Ask(request("s:Read", "arn:x"), account, &p)
	require.ErrorContains(t, err, "NotPrincipal")
	_, err = MayAssume(p, "ecs-tasks.amazonaws.com", nil)
	require.ErrorContains(t, err, "NotPrincipal")
}
