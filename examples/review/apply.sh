#!/bin/sh
# After the merge: apply what was reviewed, with the user who may change the schema.
#
# usage: apply.sh DIGEST     the digest that the reviewers approved, as plan.md shows it
#
# Exits with 4 when the databases have changed since: then plan and review again.
set -eu
outpost migrate apply plan.bin --expect "$1" --lock-wait 5m
outpost migrate verify
