# make demo   the whole story on throwaway servers: an old deployment, migrated without losing anything
# make test   every test, against real Postgres and Redis servers that the tests start themselves
#
# Both install Postgres and Redis when they are missing, and say so first. Nothing else is needed than a
# Rust toolchain. Both build with the same profile, so that dependencies compile once.

.POSIX:
.PHONY: help demo test build lint

CARGO = cargo

help:
	@sed -n 's/^# //p' Makefile

# The folder that cargo builds into, wherever it was told to.
demo: servers build
	@target=$$($(CARGO) metadata --locked --format-version 1 --no-deps \
	    | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p') && \
	PATH="$$target/debug:$$PATH" outpost sandbox -- scripts/demo

test: test-servers
	$(CARGO) test --locked

build:
	$(CARGO) build --locked

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

.PHONY: servers test-servers
servers:
	@scripts/install-servers

test-servers:
	@scripts/install-servers --tests
