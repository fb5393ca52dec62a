package workflows

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var repository = os.DirFS("../..")

func TestTheWorkflowsKeepEveryRule(t *testing.T) {
	set, err := Read(repository, nil)
	require.NoError(t, err)
	for _, rule := range Rules() {
		t.Run(rule.Says, func(t *testing.T) {
			assert.Empty(t, rule.Faults(set))
		})
	}
}

// Files, as the mutations name them.
const (
	pullRequest = ".github/workflows/pull-request.yml"
	nightly     = ".github/workflows/nightly.yml"
	cleanUp     = ".github/workflows/clean-up.yml"
	destroy     = ".github/workflows/destroy.yml"
	sweep       = ".github/workflows/sweep.yml"
	tell        = ".github/workflows/tell.yml"
	setupAction = ".github/actions/setup/action.yml"
	awsAction   = ".github/actions/aws/action.yml"

	checkoutPin = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2"
	destroyIf   = "if: always() && needs.settings.outputs.suffix != ''"
	inDeploy    = "      id-token: write # the AWS session, by OIDC\n    env:\n      NO_COLOR: \"1\"\n"
)

// mutations are changes that somebody might make; each must break the rule under which it stands. The text to be
// replaced is the first of its kind in the file.
var mutations = map[string][]struct{ file, old, new string }{
	"the version of a pinned action stands beside its commit, and both are the same everywhere": {
		{pullRequest, checkoutPin, "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd"},
		{pullRequest, checkoutPin, "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6"},
		{pullRequest, checkoutPin, "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0"},
	},
	"a workflow has no rights of its own, and every job exactly those in the table": {
		{nightly, "permissions: {}\n\n#", "permissions:\n  contents: read\n\n#"},
		{sweep, "permissions: {}\n\nconcurrency", "concurrency"},
		{pullRequest, "      contents: read\n", "      contents: write\n"},
		{pullRequest, "    permissions:\n      contents: read\n", ""},
		{nightly, "      issues: write #", "      id-token: write\n      issues: write #"},
		{tell, "      issues: write #", "      contents: read\n      issues: write #"},
		{pullRequest, "  unit:\n", "  publish:\n"},
	},
	"every job that runs steps has a time limit of its own, and a machine whose version is known": {
		{pullRequest, "    timeout-minutes: 30\n", ""},
		{nightly, "    timeout-minutes: 150\n", "    timeout-minutes: 360\n"},
		{cleanUp, "ubuntu-24.04", "ubuntu-latest"},
		{sweep, "ubuntu-24.04", "self-hosted"},
	},
	"workflows start when the table says, and never with the rights of a pull request's target": {
		{pullRequest, "  pull_request:\n", "  pull_request_target:\n"},
		{pullRequest, "branches: [main]", "branches: ['**']"},
		{nightly, "  schedule:\n    - cron: \"17 2 * * *\"\n", ""},
		{nightly, "  workflow_dispatch:\n", "  workflow_dispatch:\n  pull_request:\n"},
		{sweep, "41 9 * * 0", "41 9 1 1 *"},
		{destroy, "  workflow_dispatch:\n", "  repository_dispatch:\n"},
		{cleanUp, "  workflow_call:\n", "  workflow_dispatch:\n"},
	},
	"what touches the account runs one at a time, and nothing that waits for it is cancelled or dropped": {
		{nightly, "cancel-in-progress: false", "cancel-in-progress: true"},
		{nightly, "  queue: max\n", ""},
		{sweep, "group: tapstack-aws", "group: sweep"},
		{destroy, "concurrency:\n  group: tapstack-aws\n  cancel-in-progress: false\n  queue: max\n", ""},
		{cleanUp, "permissions: {}\n", "permissions: {}\n\nconcurrency:\n  group: tapstack-aws\n"},
		{pullRequest, "cancel-in-progress: true", "cancel-in-progress: false"},
		{pullRequest, "-${{ github.ref }}", ""},
	},
	"no secret is used anywhere, and no long-lived key": {
		{nightly, "${{ vars.TAP_ROLE }}", "${{ secrets.TAP_ROLE }}"},
		{nightly, "    uses: ./.github/workflows/clean-up.yml\n", "    uses: ./.github/workflows/clean-up.yml\n    secrets: inherit\n"},
		{awsAction, "        role-to-assume:", "        aws-access-key-id: x\n        role-to-assume:"},
		{sweep, "      NO_COLOR: \"1\"\n", "      AWS_SECRET_ACCESS_KEY: x\n"},
		{tell, "${{ github.token }}", "${{ secrets['PAT'] }}"},
	},
	"scripts stop at the first error": {
		{nightly, "-euo pipefail", "-eu"},
		{setupAction, "bash --noprofile --norc -euo pipefail {0}", "bash"},
		{cleanUp, "defaults:\n  run:\n    shell: bash --noprofile --norc -euo pipefail {0}\n", ""},
		{nightly, "      - name: Check\n", "      - name: Check\n        continue-on-error: true\n"},
		{nightly, "reports/updated\n", "reports/updated || true\n"},
		{cleanUp, "    environment: nightly\n", "    environment: nightly\n    continue-on-error: true\n"},
		{nightly, "run: .build/tap cost", "run: set +e; .build/tap cost"},
	},
	"AWS is reached in the environment nightly only, by its role, in a session longer than the job": {
		{nightly, "    environment: nightly\n", ""},
		{sweep, "    environment: nightly\n", "    environment: production\n"},
		{nightly, inDeploy, "    env:\n      NO_COLOR: \"1\"\n"},
		{pullRequest, "      - run: make lint\n", "      - uses: ./.github/actions/aws\n      - run: make lint\n"},
		{cleanUp, "seconds: 9900", "seconds: 3600"},
		{sweep, "      TAPSTACK_ALLOWED_ACCOUNTS: ${{ vars.TAP_ACCOUNT }}\n", ""},
		{awsAction, "        allowed-account-ids: ${{ env.TAP_ACCOUNT }}\n", ""},
		{awsAction, "        role-to-assume: ${{ env.TAP_ROLE }}\n", ""},
	},
	"the variables that are read are those in the table, and the runbook tells each": {
		{"docs/runbook.md", "`TAP_STATE_KEY`", "`TAP_KEY`"},
		{nightly, "vars.TAP_IMAGES", "vars.TAP_IMAGE"},
		{sweep, "${{ vars.TAP_STATE_KEY }}", "${{ vars.TAP_KEY }}"},
	},
	"the nightly tells its cost, deploys, pays, acts on the stack to check it, updates it, and checks again": {
		{nightly, " --max-run 10", ""},
		{nightly, "--config owner=nightly ", ""},
		{nightly, "timeout-minutes: 55", "timeout-minutes: 120"},
		{nightly, "    if: needs.settings.outputs.suffix != ''\n", "    if: github.actor == 'somebody'\n"},
		{nightly, "--act --report reports/deployed", "--report reports/deployed"},
		{nightly, ".build/tap up --target aws --yes --no-progress --config apiTimeoutSeconds=25", ".build/tap preview --target aws"},
		{nightly, "      - name: Check the update\n", "      - name: Check the update\n        if: success() && github.actor != 'somebody'\n"},
		{nightly, " --ttl 6h", ""},
		{nightly, ".build/tap load --target aws", ".build/tap load --target local"},
	},
	"whatever happened to the deployment, another machine destroys the stack": {
		{nightly, destroyIf, "if: needs.settings.outputs.suffix != ''"},
		{nightly, destroyIf, "if: success() && needs.settings.outputs.suffix != ''"},
		{nightly, "needs: [settings, deploy]", "needs: [settings]"},
		{cleanUp, "    if: always() #", "    if: success() #"},
		{nightly, "uses: ./.github/workflows/clean-up.yml", "uses: ./.github/workflows/tell.yml"},
		{nightly, "      suffix: ${{ needs.settings.outputs.suffix }}\n\n  tell", "      suffix: nightly\n\n  tell"},
		{cleanUp, "      ENVIRONMENT_SUFFIX: ${{ inputs.suffix }}\n", "      ENVIRONMENT_SUFFIX: nightly\n"},
		{cleanUp, "TAPSTACK_BACKEND: s3://${{ vars.TAP_STATE_BUCKET }}/nightly", "TAPSTACK_BACKEND: s3://${{ vars.TAP_STATE_BUCKET }}/daily"},
		{destroy, "suffix: ${{ inputs.suffix }}", "suffix: ${{ github.actor }}"},
	},
	"after the destruction, failed or not, the rest is swept and the proof is made that nothing is left": {
		{cleanUp, "        run: .build/tap destroy", "        run: echo .build/tap destroy"},
		{cleanUp, " --unlock", ""},
		{cleanUp, "      - name: Sweep\n        if: always() && steps.session.outcome == 'success'\n", "      - name: Sweep\n"},
		{cleanUp, "      - name: Prove that nothing is left\n        if: always()", "      - name: Prove that nothing is left\n        if: success()"},
		{cleanUp, "0s | .ci", "24h | .ci"},
		{cleanUp, "--older-than 0s --yes |", "--older-than 0s |"},
		{cleanUp, "        timeout-minutes: 80\n", ""},
		{cleanUp, "        timeout-minutes: 80\n", "        timeout-minutes: 140\n"},
	},
	"the weekly sweep is held to its result": {
		{sweep, "--older-than 24h --yes |", "--older-than 24h --yes || true |"},
		{sweep, "      - name: Prove that nothing is left\n        if: always() && steps.session.outcome == 'success'\n", "      - name: Prove that nothing is left\n"},
		{sweep, "        timeout-minutes: 75\n", ""},
		{sweep, "    if: needs.settings.outputs.wanted == 'true'\n", "    if: false\n"},
	},
	"a failure opens an issue or comments on the open one, from a job without rights on AWS": {
		{nightly, "always() && (needs.settings.result", "failure() && (needs.settings.result"},
		{nightly, "needs: [settings, deploy, destroy]", "needs: [settings, deploy]"},
		{nightly, " || needs.destroy.result != 'success'", ""},
		{sweep, "needs.sweep.result != 'success'", "needs.sweep.result == 'failure'"},
		{tell, "    if: always() #", "    #"},
		{tell, "gh issue comment", "echo"},
		{tell, "gh issue create", "echo"},
		{sweep, "uses: ./.github/workflows/tell.yml", "uses: ./.github/workflows/destroy.yml"},
	},
	"reports are kept and shown whatever happened": {
		{nightly, "      - if: always()\n        uses: actions/upload-artifact", "      - uses: actions/upload-artifact"},
		{nightly, "      - name: Write the job summary\n        if: always()\n", "      - name: Write the job summary\n"},
		{pullRequest, "path: reports/", "path: report/"},
		{pullRequest, "      - if: always()\n        run: .build/tap destroy", "      - run: .build/tap destroy"},
		{pullRequest, `cat reports/local/report.md >> "$GITHUB_STEP_SUMMARY"`, "cat reports/local/report.md"},
	},
	"pull requests run what .ci/run runs": {
		{pullRequest, "run: make lint", "run: true"},
		{pullRequest, "  lint:\n", "  lint:\n    if: false\n"},
		{pullRequest, "      - run: make test-integration\n", "      - if: github.event_name == 'push'\n        run: make test-integration\n"},
		{".ci/run", "make lint", "make lint\nmake fuzz"},
		{"Makefile", "test: test-unit ", "test: test-unit bench "},
	},
	"what compiles is called through make, whose flags decide what the caches are good for": {
		{".ci/run", "make lint", "go vet ./...\nmake lint"},
		{setupAction, "make tap", "go build -o .build/tap ./bin/tap"},
		{pullRequest, "make test-unit", "CGO_ENABLED=0 go test -short ./..."},
	},
	"make targets, scripts and workflows that are called exist": {
		{pullRequest, "make test-unit", "make test-units"},
		{"Makefile", "\nlint:", "\nlinting:"},
		{nightly, ".ci/push-images", ".ci/push-image"},
		{pullRequest, "fixtures/localstack/build-image", "fixtures/localstack/requirements"},
		{pullRequest, "uses: ./.github/actions/setup", "uses: ./.github/actions/setups"},
		{destroy, "workflows/clean-up.yml", "workflows/cleanup.yml"},
	},
}

func TestEveryRuleCanBeBroken(t *testing.T) {
	said := map[string]bool{}
	for _, rule := range Rules() {
		said[rule.Says] = true
		assert.NotEmpty(t, mutations[rule.Says], "nothing shows that this rule can be broken: %s", rule.Says)
		for _, m := range mutations[rule.Says] {
			t.Run(rule.Says+"/"+strings.TrimSpace(m.new), func(t *testing.T) {
				before, err := (&Set{tree: repository}).text(m.file)
				require.NoError(t, err)
				require.Contains(t, before, m.old, "%s no longer has what the mutation replaces", m.file)
				set, err := Read(repository, map[string]string{m.file: strings.Replace(before, m.old, m.new, 1)})
				require.NoError(t, err)
				require.NotEmpty(t, rule.Faults(set), "%s: %q instead of %q breaks nothing", m.file, m.new, m.old)
			})
		}
	}
	for says := range mutations {
		assert.Contains(t, said, says, "there is no such rule")
	}
}

func TestAFileThatIsNoWorkflowIsToldByName(t *testing.T) {
	_, err := Read(repository, map[string]string{nightly: "jobs: [1, 2]"})
	require.ErrorContains(t, err, "reading "+nightly)
	_, err = Read(repository, map[string]string{tell: "jobs: {tell: {container: 'alpine:latest'}}"})
	require.ErrorContains(t, err, "field container not found", "a key that no rule looks at")
	_, err = Read(os.DirFS(t.TempDir()), nil)
	require.ErrorContains(t, err, "is this the repository?")
}
