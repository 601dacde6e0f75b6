# Thin names for what people do here; the work is in cargo, go, tests/run and tests/servers/build.
.PHONY: help test scale replicas attacks pictures servers static lint format generate check-generated deny advisories cargo-deny bench clean

TOOLS = $(CURDIR)/target/tools/bin
DENY = env PATH="$(TOOLS):$$PATH" cargo deny

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

test: servers static ## every test, those on real servers included
	tests/run

scale: servers ## 10,000 accounts on a real API server, on one replica and on three, with times and memory (20 minutes)
	CAAS_TEST_ACCOUNTS=10000 cargo test --locked --release --test cluster -- --include-ignored --nocapture --test-threads=1 \
		all_accounts_are_collected_soon three_replicas_share

replicas: servers ## faults of several replicas, ten times each on the optimized program, worst and median of each figure (30 minutes)
	cargo build --locked --release --bin caas-operator
	# They mostly wait. What programs log goes into the file.
	CAAS_TEST_RUNS=$${CAAS_TEST_RUNS:-10} CAAS_TEST_PROGRAM="$(CURDIR)/target/release/caas-operator" \
		cargo test --locked --test cluster -- --include-ignored --nocapture --test-threads=8 replicas::faults 2>target/replicas.log \
		|| { tail -n 40 target/replicas.log; exit 1; }

attacks: servers ## attacks on the optimized program in 512 MiB, one after another, with a table (15 minutes)
	cargo build --locked --release --bin caas-operator
	CAAS_TEST_PROGRAM="$(CURDIR)/target/release/caas-operator" CAAS_TEST_ALONE=1 \
		cargo test --locked --test attacks -- --include-ignored --nocapture --test-threads=1

pictures: ## the pictures of the page, into docs/pictures
	tests/servers/build browser
	CAAS_PICTURES="$(CURDIR)/docs/pictures" cargo test --locked --test browser -- --include-ignored pictures

servers: ## the real servers that tests run, into target/servers (first time: about 20 minutes)
	tests/servers/build

static: ## the binary of the image, which needs nothing from its system, into target/static
	./static-build

lint: ## what CI denies
	cargo fmt --all -- --check
	cargo clippy --locked --all-targets -- -D warnings
	# The operator without its simulated clouds: nothing but the commands that run them may name them.
	cargo clippy --locked --no-default-features --lib --bins -- -D warnings
	# Pages, words, manifests and rules.
	tests/lint/run

format: ## format the code
	cargo fmt --all

generate: ## write all generated files anew
	./generate

check-generated: ## fail where a generated file is not current
	./generate --check

deny: cargo-deny ## licences, bans and sources of dependencies
	cargo fetch --locked
	$(DENY) --offline check licenses bans sources

advisories: cargo-deny ## known vulnerabilities of dependencies, where the advisory database can be fetched
	@if timeout 120 $(DENY) fetch db; \
	then $(DENY) --offline check advisories; \
	else echo 'ADVISORIES WERE NOT CHECKED: the advisory database cannot be fetched from here.'; fi

cargo-deny:
	PATH="$(TOOLS):$$PATH" cargo-deny --version >/dev/null 2>&1 \
		|| cargo install --locked --debug --root target/tools cargo-deny --version 0.20.2

bench: ## performance against peers in the same run
	cargo bench --locked

clean: ## remove everything that was built
	cargo clean
