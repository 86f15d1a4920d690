# Every command of the project. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export CARGO_TERM_COLOR ?= auto

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
COMPONENTS := $(TARGET)/components
CLUSTER := tests/cluster/cluster
STRATEGIES := altinity cnpg job
# What the scripts are told. Each name has our prefix: foreign programs that a script starts have names of their own.
BUILT := BACKSTAY_PROGRAM=$(TARGET)/debug/backstay BACKSTAY_COMPONENTS_DIR=$(COMPONENTS)
PLATFORM := BACKSTAY_POSTGRES_CHART=$(TARGET)/debug/postgres-chart
# Make would export those that its caller has or sets.
unexport TARGET COMPONENTS CLUSTER STRATEGIES BUILT PLATFORM TEST SEEDS FROM

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16
	@echo '[cache]: fills BACKSTAY_CACHE (~/.cache/backstay) and the caches of Go; see "Caches" in docs/testing.md'

# Only what it runs is built, with the features of the whole workspace, so that nothing is built again for the tests.
.PHONY: demo
demo: toolchain ## Back up, destroy, restore and compare real files on a Kubernetes in memory: no root, no Go
	cargo build --workspace --locked --bin backstay --bin backstay-demo --bin build-strategy
	@mkdir -p $(TARGET)/demo && $(TARGET)/debug/build-strategy strategies/job --out $(TARGET)/demo/job.wasm
	@BACKSTAY_PROGRAM=$(TARGET)/debug/backstay BACKSTAY_COMPONENTS_DIR=$(TARGET)/demo $(TARGET)/debug/backstay-demo

.PHONY: demo-cluster
demo-cluster: components ## The same story on a real Kubernetes, built from source [cache]
	@$(BUILT) tests/demo/demo

.PHONY: test
test: toolchain ## Every test: units, components in wasmtime, a real API server, real pods [cache]
	@tests/run

.PHONY: check
check: rust-lint ## Formatting, clippy, unit and component tests: no cluster, few of the walks
	CNPG_WALKS=250 cargo test --workspace --locked --no-fail-fast

.PHONY: test-cluster
test-cluster: toolchain ## Run the tests of the tier cluster whose names contain TEST=… [cache]
	@tests/run cluster $(TEST)

.PHONY: lint
lint: rust-lint ## Formatting, clippy and shell scripts
	@command -v shellcheck >/dev/null || { apt-get update -qq && apt-get install -y -qq shellcheck; } >/dev/null || \
	  { echo "lint: shellcheck is missing: apt-get install shellcheck" >&2; exit 1; }
	tests/environment
	shellcheck tests/environment tests/run tests/generate tests/demo/demo tests/install/install deploy/image/rootfs tests/mutants/run tests/bench/run .ci/run tests/replay/run tests/replay/story tests/cluster/alone
	shellcheck -s sh sdk/devcluster/src/local/setup.sh tests/demo/fill.sh
	@for patch in tests/mutants/*.patch; do git apply --check "$$patch" || { echo "lint: $$patch does not apply any more" >&2; exit 1; }; done
	cd tests/cluster && shellcheck cluster lib/*.sh lib/init
	cd tests/cnpg && shellcheck -x build up e2e crds lib/*.sh

.PHONY: install-test
install-test: components ## Install the controller in a cluster of its own, by the commands of docs/operations [cache]
	@$(BUILT) tests/install/install

.PHONY: fuzz
fuzz: build ## Fuzz for a minute a target; `target/debug/backstay-fuzz --help` for more
	@for target in go minijinja results guest stored; do $(TARGET)/debug/backstay-fuzz $$target --seconds 60 || exit 1; done

.PHONY: generate
generate: components ## Write the generated files: deploy/{admission,crds,strategies}, docs/operations/failures.md
	@$(BUILT) tests/generate

.PHONY: bench
bench: toolchain ## Every figure, side by side in one run: rendering beside Go's, runs beside bare Jobs [cache]
	@tests/bench/run $(filter fairness scale-state,$(MAKECMDGOALS))

.PHONY: fairness
fairness: toolchain ## `make bench fairness`: what one tenant costs another, beside the build before [cache]
ifeq ($(filter bench,$(MAKECMDGOALS)),)
	@tests/bench/run fairness
endif

.PHONY: scale-state
scale-state: toolchain ## `make bench scale-state`: 100,000 finished runs, beside the build before [cache]
ifeq ($(filter bench,$(MAKECMDGOALS)),)
	@tests/bench/run scale-state
endif

.PHONY: faults
faults: toolchain ## Play every fault plan on a Kubernetes in memory; BACKSTAY_FAULT_PLAN='…' replays one
	cargo test --workspace --locked --test plans -- --nocapture every_fault_plan

.PHONY: faults-cluster
faults-cluster: build ## Play every fault plan on a real API server, of which make test plays a tenth there [cache]
	@$(CLUSTER) up
	$(CLUSTER) exec -- env BACKSTAY_TEST_CLUSTER=1 BACKSTAY_FAULT_ALL=1 CARGO_NET_OFFLINE=true \
	  cargo test --workspace --locked --test faults -- --nocapture every_fault_plan

SEEDS ?= 1000
FIRST ?= 1
.PHONY: sim
sim: toolchain ## Play SEEDS=… disasters in simulated time, from FIRST=…; SEED=… ONLY=… replays one; FAST=1 builds optimised
	cargo build $(if $(FAST),--profile sim) --workspace --locked --bin backstay-sim
	@$(TARGET)/$(if $(FAST),sim,debug)/backstay-sim \
	  $(if $(SEED),--seed $(SEED) $(if $(ONLY),--only $(ONLY)),--first $(FIRST) --seeds $(SEEDS))

.PHONY: sim-day
sim-day: toolchain ## Play a day of 100 Plans without any trouble, and say what it cost
	cargo build $(if $(FAST),--profile sim) --workspace --locked --bin backstay-sim
	@$(TARGET)/$(if $(FAST),sim,debug)/backstay-sim --day 100

.PHONY: replay
replay: components ## Record what tests ask a real API server, and ask it again of the Kubernetes in memory [cache]
	@tests/replay/run $(TEST)

.PHONY: hostile
hostile: build ## Play a hostile tenant, and print what came of each group of its inputs [cache]
	@tests/run hostile

.PHONY: mutants
mutants: build ## Put defects of the reference back: a fault plan or a walk must catch each [cache]
	@$(CLUSTER) up
	@tests/mutants/run

.PHONY: mutants-model
mutants-model: toolchain ## Put defects into the Kubernetes in memory: a recorded sequence must catch each
	cargo test -p devcluster --locked --test sequences --no-run
	@tests/mutants/run model

.PHONY: fidelity
fidelity: toolchain ## `make fidelity SEEDS=500 FROM=1`: random sequences, sent to a real API server too [cache]
	cargo test -p devcluster --locked --test sequences --no-run
	tests/cluster/alone env CARGO_NET_OFFLINE=true SEQUENCES_SEEDS=$(or $(SEEDS),200) SEQUENCES_FROM=$(or $(FROM),0) \
	  cargo test -p devcluster --locked --test sequences -- --ignored --nocapture random_sequences

.PHONY: e2e-cnpg
e2e-cnpg: components ## Back up, destroy and restore real PostgreSQL: CloudNativePG, its plugin and S3 [cache]
	@$(BUILT) $(PLATFORM) tests/cnpg/e2e

.PHONY: cnpg-cluster
cnpg-cluster: build ## Start a cluster with CloudNativePG (stop: tests/cluster/cluster down --name cnpg) [cache]
	@$(PLATFORM) tests/cnpg/up

.PHONY: cluster
cluster: ## Start the test cluster (stop: tests/cluster/cluster down) [cache]
	@$(CLUSTER) up

.PHONY: audit
audit: ## Licences, sources and bans of dependencies (needs cargo-deny)
	cargo deny --locked check licenses sources bans

.PHONY: clean
clean: ## Stop the test cluster and remove what was built in the checkout
	-@$(CLUSTER) down
	cargo clean

.PHONY: rust-lint
rust-lint: toolchain # what lint and check have in common
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

# A toolchain that was there before is left by rustup as it is: what it lacks of rust-toolchain.toml is added here.
.PHONY: toolchain
toolchain: # a C compiler and strip, by apt; the target of guests, rustfmt and clippy, where rustup looks after the toolchain
	@{ command -v cc && command -v strip; } >/dev/null || { \
	  echo "installing gcc, libc6-dev and binutils" >&2; apt-get update -qq && apt-get install -y -qq gcc libc6-dev binutils; } >/dev/null || \
	  { echo "toolchain: a C compiler or strip is missing: apt-get install gcc libc6-dev binutils" >&2; exit 1; }
	@! command -v rustup >/dev/null || { \
	  { rustup target list --installed | grep -qx wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown; } && \
	  for part in rustfmt clippy; do \
	    rustup component list --installed | grep -q "^$$part" || rustup component add "$$part" || exit 1; \
	  done; }

.PHONY: build
build: toolchain # the programs, with the same features as the tests, so that nothing heavy is built twice
	cargo build --workspace --locked

.PHONY: components
components: build ## Build the strategies as components into target/components
	@mkdir -p $(COMPONENTS)
	@for s in $(STRATEGIES); do \
	  $(TARGET)/debug/build-strategy strategies/$$s --out $(COMPONENTS)/$$s.wasm || exit 1; done
