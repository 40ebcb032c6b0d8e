# What the scripts share that run suites against other servers than the installed ones. To be sourced; the script says
# in `suites` which ones: each a test binary, and after a space the tests of it, as one gives them to `cargo test`.

target=$(cargo metadata --locked --format-version 1 --no-deps |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
# Where servers are unpacked.
home=${OUTPOST_TEST_SERVERS:-$target/servers}
failures=0
table=("| server | suite | passed | failed |" "| --- | --- | --- | --- |")

build_suites() {
    local suite arguments=()
    for suite in "${suites[@]}"; do arguments+=(--test "${suite%% *}"); done
    cargo test --locked --no-run "${arguments[@]}"
}

# A row, with how many passed and failed. None that passed is a failure: a filter whose test has another name by now
# would prove nothing.
row() {
    local server=$1 what=$2 passed=$3 failed=$4
    if [ "${passed:-0}" = 0 ] || [ "${failed:-1}" != 0 ]; then failures=$((failures + 1)); fi
    table+=("| $server | $what | ${passed:-none} | ${failed:-all} |")
}

# run_suites SERVER PATH: every suite with the programs of this PATH.
run_suites() {
    local server=$1 path=$2 suite binary filters output
    for suite in "${suites[@]}"; do
        read -r binary filters <<<"$suite"
        read -ra filters <<<"$filters"
        output=$(PATH=$path cargo test --locked --test "$binary" -- "${filters[@]}" 2>&1) || true
        grep -E '^test .* FAILED$|panicked at|^error' <<<"$output" >&2 || true
        row "$server" "${filters[*]%::}" \
            "$(sed -n 's/^test result: .* \([0-9]*\) passed.*/\1/p' <<<"$output")" \
            "$(sed -n 's/^test result: .* \([0-9]*\) failed.*/\1/p' <<<"$output")"
    done
}

# Prints the table, and exits.
finish() {
    printf '%s\n' "${table[@]}"
    exit $((failures > 0))
}
