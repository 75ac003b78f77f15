# Berth: what a person types. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
DATA_DIR ?= berth-data

.PHONY: help up build test bench soak fmt lint

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the release binary, target/release/berth
	$(CARGO) build --release --locked -p berth

up: build ## run Berth on this machine, with its state in DATA_DIR (berth-data)
	target/release/berth up --data-dir $(DATA_DIR)

test: ## install what the tests need (only what is missing) and run them all
	scripts/test-peers.sh
	$(CARGO) build --locked -p berth
	$(CARGO) test --locked --workspace --doc --quiet
	$(CARGO) nextest run --locked --workspace --no-fail-fast

bench: ## compare with peers, side by side in one run
	scripts/test-peers.sh
	$(CARGO) build --release --locked -p berth -p berth-bench
	target/release/berth-bench

soak: ## what takes longer than a test may: fuzz targets and long crash tests
	scripts/fuzz.sh
	BERTH_CRASH_ROUNDS=200 $(CARGO) nextest run --locked -p berth-e2e --test durability

fmt: ## format the code
	$(CARGO) fmt --all

lint: ## formatting, clippy without warnings, licences and duplicates
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	scripts/cargo-tool.sh cargo-deny
	$(CARGO) deny --offline --locked check bans licenses sources
