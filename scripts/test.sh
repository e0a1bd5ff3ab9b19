#!/usr/bin/env bash
# Runs test suites to their ends, prints one line for each, shows the output of those that failed, and closes
# with "N passed, N failed".
#
#   scripts/test.sh            every suite
#   scripts/test.sh deploy     this one: frontend, rust, driver, deploy, api or e2e
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

logs=${CARGO_TARGET_DIR:-target}/test-logs
mkdir -p "$logs"
rm -f "$logs"/*
export NO_COLOR=1
passed=0
failed=0
failures=

readonly suites=(frontend rust driver deploy api e2e)
readonly wanted=${1:-}
[[ -z "$wanted" || " ${suites[*]} " == *" $wanted "* ]] || fail "there is no suite $wanted; the suites are ${suites[*]}"

chosen() {
  [ -z "$wanted" ] || [ "$1" = "$wanted" ]
}

# A suite that hangs ends the run with what it printed so far, instead of never.
readonly longest=30m

# Runs a suite and notes how it ended; safe to be sent to the background.
run() {
  local suite=$1 started=$SECONDS status=0
  shift
  chosen "$suite" || return 0
  timeout --foreground --kill-after=10 "$longest" "$@" >"$logs/$suite.log" 2>&1 </dev/null || status=$?
  echo "$status $((SECONDS - started))" >"$logs/$suite.status"
}

run_npm() {
  local suite=$1 directory=$2
  chosen "$suite" || return 0
  if has_npm_script "$directory" test; then
    run "$suite" npm --prefix "$directory" test
  else
    echo skipped >"$logs/$suite.status"
  fi
}

# How many tests passed and failed, by the summaries of cargo test, node --test (TAP or spec), vitest and anything else
# that prints TAP's, as the suites in Python do.
count_tests() {
  awk '
    /^test result:/              { passed += $4; failed += $6 }
    /^(#|ℹ) pass [0-9]+$/        { passed += $3 }
    /^(#|ℹ) (fail|cancelled) [0-9]+$/ { failed += $3 }
    /^ *Tests .*\([0-9]+\)$/     { for (i = 2; i <= NF; i++) { if ($i == "passed") passed += $(i-1); if ($i == "failed") failed += $(i-1) } }
    END                          { print passed + 0, failed + 0 }
  ' "$1"
}

# The names of the tests that failed, a line each: of cargo test, of node --test's spec reporter, of vitest and of pytest.
name_failures() {
  awk '
    /^test .* \.\.\. FAILED$/     { sub(/^test /, ""); sub(/ \.\.\. FAILED$/, ""); print }
    /^ *FAIL /                   { sub(/^ *FAIL +/, ""); print }
    /^(FAILED|ERROR) .*::/       { sub(/^[A-Z]+ /, ""); sub(/ - .*/, ""); print }
    /^✖ failing tests:$/         { listed = 1; next }
    listed && /^✖ /              { sub(/^✖ /, ""); print }
  ' "$1" | sort --unique
}

# Prints a suite's closing line and adds it to the sums.
close() {
  local suite=$1 status duration suite_passed suite_failed
  chosen "$suite" || return 0
  read -r status duration <"$logs/$suite.status"
  if [ "$status" = skipped ]; then
    printf '%-9s skipped: it has no tests\n' "$suite"
    return
  fi
  read -r suite_passed suite_failed < <(count_tests "$logs/$suite.log")
  # A suite can also fail as a whole, by not compiling for instance, or by finding no test at all.
  if [ "$suite_failed" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$suite_passed" -eq 0 ]; }; then suite_failed=1; fi
  passed=$((passed + suite_passed))
  failed=$((failed + suite_failed))
  printf '%-9s %d passed, %d failed (%d s)\n' "$suite" "$suite_passed" "$suite_failed" "$duration"
  if [ "$suite_failed" -gt 0 ]; then
    printf -- '---- %s (%s) ----\n' "$suite" "$logs/$suite.log"
    [ "$status" -ne 124 ] || printf '… ended after %s\n' "$longest"
    tail -n 400 "$logs/$suite.log"
    printf -- '---- end of %s ----\n' "$suite"
    # Once more at the very end, where it is looked for first.
    failures+=$(name_failures "$logs/$suite.log" | sed "s/^/failed: $suite: /")$'\n'
  fi
}

# The suites with real browsers have the machine to themselves: their time limits are measured, not padded.
run_npm frontend frontend &
run rust cargo test --locked --workspace --no-fail-fast
wait
close frontend
close rust
run_npm driver actors/driver
close driver
run deploy deploy/tests/run
close deploy
run api fleet/tests/api/run
close api
run_npm e2e fleet/tests/e2e
close e2e

[ -n "$wanted" ] || printf 'all suites took %d s\n' "$SECONDS"
printf '%s' "$failures"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
