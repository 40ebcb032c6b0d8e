# make demo   the whole story on throwaway servers: an old deployment, migrated without losing anything
# make test   every test, against real Postgres and Redis servers that the tests start themselves
# make bench  Redis migrations against the pattern before them; BENCH="--tenants 200000 --runs 3" for more
#
# They install Postgres and Redis when they are missing, and say so first. Nothing else is needed than a
# Rust toolchain. The first two build with the same profile, so that most dependencies compile once.

.POSIX:
.PHONY: help demo test bench build lint

CARGO = cargo
BUILD = build --locked

help:
	@sed -n 's/^# //p' Makefile

# The folder that cargo builds into, wherever it was told to.
demo: servers build
	@target=$$($(CARGO) metadata --locked --format-version 1 --no-deps \
	    | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p') && \
	PATH="$$target/debug:$$PATH" outpost sandbox -- scripts/demo

test: test-servers
	$(CARGO) test --locked

bench: servers
	$(CARGO) bench --locked --bench redis -- $(BENCH)

build:
	$(CARGO) $(BUILD)

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

.PHONY: servers test-servers
servers:
	@scripts/install-servers

test-servers:
	@scripts/install-servers --tests
