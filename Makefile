# What a clone needs: a Rust toolchain, and on Debian or Ubuntu `make deps` for the rest.
CARGO ?= cargo
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help deps deps-e2e demo build test e2e compare scale fmt lint clippy doc deny clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-10s %s\n", $$1, $$2}' Makefile

deps: ## install what the build needs (cmake, a C compiler): apt-get, as root or with sudo
	@deploy/apt cc:gcc c++:g++ make:make cmake:cmake pkg-config:pkg-config perl:perl curl:curl openssl:openssl

deps-e2e: deps ## install what the end-to-end tests need besides
	@deploy/apt node:nodejs npm:npm chromium:chromium promtool:prometheus jq:jq pk12util:libnss3-tools
	cd tests/oidc_provider && npm ci --no-audit --no-fund

demo: deps ## a working estate on loopback, in the foreground
	$(CARGO) run --locked -- demo

build: deps
	$(CARGO) build --locked --all-targets

test: deps ## every test that needs nothing but the toolchain
	$(CARGO) test --locked --no-fail-fast

e2e: deps-e2e ## the real binary with real clients: browser, OpenID provider, curl
	$(CARGO) test --locked --test oidc --test oidc_client --test browser -- --ignored
	$(CARGO) test --locked --test reload -- --ignored a_hundred_reloads
	$(CARGO) test --locked --test operations -- --ignored promtool
	$(CARGO) test --locked --test http_semantics -- --ignored a_gigabyte
	TIERGATE_MUTATIONS=300000 $(CARGO) test --locked --lib device::tests::mutations

compare: deps ## tiergate beside nginx, haproxy and Envoy, as benches/compare/README.md says
	benches/compare/run.sh $(ARGS)

scale: deps ## tiergate with more of everything, as docs/performance.md says; draws its plots anew
	ulimit -n "$$(ulimit -Hn)"; $(CARGO) bench --locked --bench compare -- scale $(ARGS)

fmt:
	$(CARGO) fmt --check

clippy: deps
	$(CARGO) clippy --locked --lib --bins -- -D warnings
	@# A test says what is wrong by panicking, also in the functions beside it.
	$(CARGO) clippy --locked --all-targets -- -D warnings -A clippy::unwrap_used -A clippy::expect_used \
	  -A clippy::panic -A clippy::indexing_slicing -A clippy::string_slice -A clippy::disallowed_methods \
	  -A clippy::pedantic -A clippy::allow_attributes -A clippy::wildcard_enum_match_arm -A missing_docs -A unfulfilled_lint_expectations

doc: deps
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --no-deps

deny: ## licences, banned crates, sources
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked --version 0.20.2
	$(CARGO) deny --locked check bans licenses sources

lint: fmt clippy doc deny ## format, lints, documentation, dependencies

clean:
	$(CARGO) clean
