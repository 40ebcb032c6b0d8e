#!/bin/sh
# On a pull request: make the plan, and write it down for the reviewers. Runs with the reading user.
#
# plan.bin is kept as an artifact; plan.md goes into a comment. Planning again from the same state gives the
# same digest, so a review holds for as long as the digest stays the same.
set -eu
outpost migrate plan -out plan.bin
outpost migrate show --format markdown plan.bin >plan.md
