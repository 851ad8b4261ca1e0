# The entry points; `make` lists them. Everything missing is installed on the way (Debian or Ubuntu,
# as root or with sudo), so that a bare machine with Rust is enough.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where `make run` keeps the token, the store and the credentials, and where it listens.
DATA ?= target/dev-data
LISTEN ?= 127.0.0.1:4566

INSTALL := softhsm-setup/install.sh
VENV := .venv/requirements.txt
NODE := tests/clients/policies/node_modules/.package-lock.json
SCRIPTS := .ci/run $(wildcard softhsm-setup/*.sh tests/clients/*.sh benches/*.sh)

.PHONY: help run test test-rust test-clients lint bench dist pgo venv rust

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | \
	    while IFS=$$'\t' read -r name what; do printf '  make %-14s%s\n' "$$name" "$$what"; done

run: rust ## a working server on loopback (DATA=target/dev-data LISTEN=127.0.0.1:4566)
	@$(INSTALL) cc softhsm tpm
	@mkdir -p -- $(dir $(DATA))
	@exec cargo run --release --locked -- dev --data $(DATA) --listen $(LISTEN)

test: test-rust test-clients ## all tests

test-rust: rust ## the tests in Rust: units, operations, processes, the device suite
	@$(INSTALL) cc softhsm nss tpm swtpm curl procps postgresql mariadb python
	@if cargo nextest --version >/dev/null 2>&1; then \
	    cargo nextest run --workspace --locked --no-fail-fast; \
	else \
	    cargo test --workspace --locked --no-fail-fast; \
	fi

# The server is the one that the tests in Rust were built with: built alone, its dependencies would
# have other features and be compiled again.
test-clients: rust $(VENV) $(NODE) ## AWS's clients, others' cryptography, the README's tour, on servers of their own
	@$(INSTALL) cc softhsm tpm openssl
	@cargo build --quiet --workspace --tests --locked
	@.venv/bin/python tests/clients/run.py

lint: rust ## formatting, clippy, and shellcheck where it is installed
	@$(INSTALL) cc tpm
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@for features in '' pkcs11 tpm suite; do \
	    cargo clippy -p claviger-hsm --no-default-features --features "$$features" --locked -- -D warnings || exit 1; done
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); \
	else echo "shellcheck is not installed: scripts not checked"; fi

bench: rust ## how much the server does in a second, beside the machine's own limits
	@$(INSTALL) cc softhsm tpm
	cargo bench --locked --bench throughput -- --rounds 3 --tls
	cargo bench --locked --bench throughput -- --curves --svg docs/curves.svg
	cargo bench --locked --bench throughput -- --operations
	cargo bench --locked --bench throughput -- --device
	cargo bench --locked --bench micro -- --quick operations
	cargo bench --locked --bench micro -- commits
	cargo bench --locked --bench micro -- policy
	cargo bench --locked --bench micro -- secrets
	cargo bench --locked --bench micro -- timing

dist: rust ## target/dist/claviger, built to be installed (some twenty minutes)
	@$(INSTALL) cc softhsm tpm
	cargo build --profile dist --locked --bin claviger
	@echo "the server: target/dist/claviger"

pgo: rust ## target/pgo/claviger, built by what of it runs under load (half an hour)
	@$(INSTALL) cc softhsm tpm
	@benches/pgo.sh

venv: $(VENV) ## Python's AWS CLI and boto3 in .venv, as the tests use them
	@echo ". .venv/bin/activate"

$(VENV): tests/clients/requirements.txt
	@$(INSTALL) python
	@python3 -m venv --clear .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
	    --requirement $<
	@cp $< $@

$(NODE): tests/clients/policies/package-lock.json
	@$(INSTALL) node
	@npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(dir $<)
	@touch $@

rust:
	@command -v cargo >/dev/null || { echo "make: Rust is missing: no cargo here" >&2; exit 1; }
