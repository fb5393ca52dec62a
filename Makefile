# tapstack: `make help` lists the targets.
SHELL       := /bin/bash
BUILD       := .build
TAP         := $(BUILD)/tap
GO          ?= go
CACHE       := $(or $(TAPSTACK_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tapstack)
GOLANGCI     = $(GO) tool -modfile=tools/golangci-lint/go.mod golangci-lint
ZIZMOR      := $(CACHE)/zizmor-$(shell sed -n 's/^zizmor==\([0-9.]*\).*/\1/p' tools/requirements.txt)/bin/zizmor
# Most of what the first build compiles is the generated SDKs of AWS and Pulumi, which nobody steps through with a debugger.
# Without inlining and debugging information they take half the processor time (the EC2 client 23 s instead of 48), and a demo
# as long as before. What is linked is stripped. All that compiles goes through make, or the caches would not match. GOFLAGS of
# your own come last, and so win.
ifeq ($(MAKELEVEL),0)
export GOFLAGS := $(foreach sdk,aws/aws-sdk-go-v2 pulumi/pulumi-aws pulumi/pulumi/sdk,'-gcflags=github.com/$(sdk)/...=-l -dwarf=false') \
    '-ldflags=-s -w' $(shell $(GO) env GOFLAGS)
endif
# go test's own time-out is the last resort: the integration run has a deadline of its own that leaves time to clean up.
UNIT_FLAGS  ?=
INTEGRATION ?= -timeout 30m
PACKAGES     = $(shell $(GO) list ./...)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: tap
tap: ## build the command line and the reference services into .build (the first build compiles the AWS SDKs: about 4 minutes on 2 cores)
	@mkdir -p $(BUILD)
	@$(GO) build -o $(BUILD)/ ./bin/tap ./fixtures/services

.PHONY: demo
demo: ## deploy the whole stack to a local cloud, check it, remove it
	@$(MAKE) --no-print-directory -j2 tap engine
	@$(TAP) demo $(ARGS)

.PHONY: engine
engine: ## build the Pulumi CLI into the cache, unless there is one; tap does so itself when it first needs it
	@$(GO) run ./bin/engine

.PHONY: doctor
doctor: tap ## tell what this machine has and what is missing
	@$(TAP) doctor $(ARGS)

.PHONY: test
test: test-unit test-integration test-official ## everything that CI runs, but for lint and the sample of test-reliability

.PHONY: test-unit
test-unit: ## Pulumi mocks and pure logic: no process, no network, seconds
	@mkdir -p $(BUILD)
	$(GO) test -short $(UNIT_FLAGS) $(filter-out tapstack/tests/unit,$(PACKAGES))
	$(GO) test $(UNIT_FLAGS) -coverpkg=tapstack/lib -coverprofile=$(BUILD)/unit.cover ./tests/unit
	@$(GO) tool cover -func=$(BUILD)/unit.cover | awk '/^total:/ { print "statements of lib/tap_stack.go covered: " $$3; \
	    if ($$3+0 < 95) { print "less than the 95 % that the project asks for"; exit 1 } }'

.PHONY: test-integration
test-integration: ## all that starts a process; then one deployed stack on the local cloud, every check a subtest, destroy and leak proof
	$(GO) test $(INTEGRATION) $(filter-out tapstack/tests/unit tapstack/tests/integration%,$(PACKAGES))
	$(GO) test $(INTEGRATION) -count=1 -v ./tests/integration/...

.PHONY: test-platform
test-platform: ## the life of one deployed stack alone; SKIP_destroy=1 and the like skip a stage
	$(GO) test $(INTEGRATION) -count=1 -v -run TestPlatform ./tests/integration/

.PHONY: test-sabotage
test-sabotage: ## break the deployed stack once for every check, and see that check alone go red
	$(GO) test $(INTEGRATION) -count=1 -v -run TestSabotage ./tests/integration/

# OFFICIAL=all compares the web ACL as well, of which the bridge takes 8 seconds for each change.
OFFICIAL    ?= sampled
.PHONY: test-official
test-official: ## the local provider beside the official one, where a mirror of Terraform has that: docs/official.md
	TAPSTACK_TEST_OFFICIAL=$(OFFICIAL) $(GO) test $(INTEGRATION) -count=1 -v ./tests/official

# JUDGES=parliament,cfn-lint asks some of them.
JUDGES      ?= all
.PHONY: judge
judge: ## put what is deployed before judges from PyPI, each in an environment of its own: docs/judges.md
	TAPSTACK_JUDGES=$(JUDGES) $(GO) test $(INTEGRATION) -count=1 -v -run TestWhatTheJudgesFindIsKnown ./tests/judge

.PHONY: test-updates
test-updates: ## change every configuration key of a deployed stack, there and back; UPDATES_ALONE=1 each by itself, OFFICIAL=1 by the official provider
	$(GO) test -timeout 120m -count=1 -v -run TestUpdates ./tests/integration/

# SEED=7 repeats a run, ROWS=kill-up-up,lost chooses rows (tests/reliability/rows.go), AT="17 after" a call, ROUNDS=3 makes more of each,
# OFFICIAL=1 has the official provider deploy: docs/reliability.md.
ROUNDS      ?= 1
.PHONY: test-reliability
test-reliability: ## kills, signals, lost answers, a full disk, a hung endpoint: a seeded round of each row, from fault to empty account
	TAPSTACK_RELIABILITY=$(ROUNDS) $(GO) test -timeout 60m -count=1 -v -run TestRows ./tests/reliability
	$(if $(ROWS),,TAPSTACK_SOAK=3 STACKS=3 $(GO) test -timeout 15m -count=1 -v -run TestSoak ./tests/reliability)

.PHONY: torture
torture: ## the same at every call, before and after its effect, and with every share of faults: hours; OFFICIAL=1 days
	TAPSTACK_RELIABILITY=torture $(GO) test -timeout 720h -count=1 -v -run TestRows ./tests/reliability

# PAYMENTS=5000 makes more of them.
PAYMENTS    ?= 600
.PHONY: test-payments
test-payments: ## payments through a deployed stack whose tasks and database are killed all the while: none lost, none settled twice
	TAPSTACK_PAYMENTS=$(PAYMENTS) $(GO) test -timeout 30m -count=1 -v ./tests/payments

.PHONY: torture-payments
torture-payments: ## the same with 10,000 payments
	@$(MAKE) --no-print-directory test-payments PAYMENTS=10000

# RATES=50,100,200,400 measures at these payments a second; without, a probe of the machine chooses.
RATES       ?= probed
.PHONY: capacity
capacity: ## how many payments a deployed stack takes on this machine, beside its services alone: docs/capacity.md
	TAPSTACK_CAPACITY=$(RATES) $(GO) test -timeout 60m -count=1 -v -run TestCapacity ./tests/capacity

# ROUNDS=10 STACKS=4 makes it shorter.
.PHONY: soak
soak: ROUNDS = 50
soak: STACKS = 10
soak: ## deploy, verify and destroy 50 times, and 10 stacks at once: what it leaves in memory, processes and folders, and whether that grows
	TAPSTACK_SOAK=$(ROUNDS) STACKS=$(STACKS) $(GO) test -timeout 6h -count=1 -v -run TestSoak ./tests/reliability

.PHONY: fuzz
fuzz: ## fuzz the configuration, and what merchants and the queue send to the reference services, for a while (the first build is slow: everything is instrumented)
	$(GO) test -fuzz FuzzParseConfig -fuzztime 30s ./tests/unit
	$(GO) test -fuzz FuzzEnvironmentSuffix -fuzztime 30s ./tests/unit
	$(GO) test -fuzz FuzzBodies -fuzztime 30s ./fixtures/services/httpapi
	$(GO) test -fuzz FuzzMessages -fuzztime 30s ./fixtures/services/jobs

.PHONY: bench
bench: ## deploy and destroy against the floor: the same AWS calls by a bare SDK program; verify, prove and sweep beside 5,000 of everything
	$(GO) test -run '^$$' -bench . -skip Crowded -benchtime 3x -timeout 30m ./tests/integration/...
	$(GO) test -run '^$$' -bench Crowded -benchtime 1x -timeout 60m ./tests/integration

.PHONY: lint
lint: $(ZIZMOR) ## golangci-lint, also as macOS and Windows see the code; actionlint, with shellcheck where it is installed, and zizmor
	$(GOLANGCI) run
	GOOS=darwin $(GO) vet ./lib/process/... && GOOS=windows $(GO) vet ./lib/process/...
	$(GO) run ./tests/portable
	$(GO) tool -modfile=tools/actionlint/go.mod actionlint
	$(ZIZMOR) --offline --persona=auditor --quiet .

.PHONY: fmt
fmt: ## format the code: gofumpt, imports in groups
	$(GOLANGCI) fmt

# A new version is a new folder.
$(ZIZMOR):
	@python3 -m venv --clear $(ZIZMOR:/bin/zizmor=)
	@$(ZIZMOR:zizmor=python3) -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/requirements.txt

.PHONY: goflags
goflags: ## print the flags that make compiles with, for: export GOFLAGS="$(make goflags)"
	@echo "$$GOFLAGS"

.PHONY: clean
clean: ## remove what was built here (the cache folder of the user stays)
	rm -rf $(BUILD) reports

.PHONY: picture
picture: ## draw the pictures of README.md and docs/architecture.md anew
	for picture in fixtures/architecture docs/packages; do \
	    GOFLAGS= $(GO) run oss.terrastruct.com/d2@v0.7.2 --layout=elk --theme=0 --pad 20 $$picture.d2 $$picture.svg || exit 1; done
