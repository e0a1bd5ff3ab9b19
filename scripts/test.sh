#!/usr/bin/env bash
# Builds camofleet and its tests without optimisation, and runs all test suites. Reports their progress, prints a line for
# each when it has ended, and the output of failed ones, and ends with "N passed, N failed".
#
#   scripts/test.sh                   every suite
#   scripts/test.sh deploy driver     these: frontend, rust, deploy, identity, driver, api, e2e or e2e-exacting
#
#   CAMOFLEET_BIN   the binary under test; unset: the one built from this checkout
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

target=${CARGO_TARGET_DIR:-$PWD/target}
logs=$target/test-logs
mkdir -p "$logs"
rm -f "$logs"/*
export NO_COLOR=1
if [ -n "${CAMOFLEET_BIN:-}" ]; then printf 'the binary under test is %s\n' "$CAMOFLEET_BIN"; fi
export CAMOFLEET_BIN=${CAMOFLEET_BIN:-$target/debug/camofleet}
passed=0
failed=0
failures=

readonly suites=(frontend rust deploy identity driver api e2e e2e-exacting)
readonly with_binary=(rust deploy api e2e e2e-exacting)
readonly wanted=("$@")
for name in "${wanted[@]}"; do
  [[ " ${suites[*]} " == *" $name "* ]] || fail "there is no suite $name; the suites are ${suites[*]}"
done

chosen() {
  [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $1 "* ]]
}

# The time limit of a suite: one that hangs is ended, and its output so far is shown.
longest=${LONGEST_SUITE:-30m}

# The progress of a suite: the number of printed results.
progress_of() {
  awk '/^ *(✔|✖|✓|×|❯) / || /^(not )?ok [0-9]/ || /^test .* \.\.\. / { results += 1 } END { if (results) print ", " results " results" }' "$1"
}

# Runs a suite, records its result and duration, and prints them.
run() {
  local suite=$1 status=0 started=$SECONDS reporter
  shift
  chosen "$suite" || return 0
  # It has already failed, in the build.
  if [ -f "$logs/$suite.status" ]; then
    summarise "$suite"
    return
  fi
  : >"$logs/$suite.log"
  printf '%s …\n' "$suite"
  report_progress "$suite" "$logs/$suite.log" &
  reporter=$!
  # It runs in its own process group, which is killed at the time limit.
  timeout --kill-after=10 "$longest" "$@" >"$logs/$suite.log" 2>&1 </dev/null &
  echo $! >"$logs/$suite.pid"
  wait $! || status=$?
  rm -f "$logs/$suite.pid"
  end_progress "$reporter"
  echo "$status $((SECONDS - started))" >"$logs/$suite.status"
  summarise "$suite"
}

# Ends running suites, which are not in the process groups of their lanes, and exits with a status.
break_off() {
  local pid file
  trap - INT TERM
  for pid in "${lanes[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
  for file in "$logs"/*.pid; do
    if [ -f "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
  done
  exit "$1"
}

# Counts passed and failed tests from the summaries of cargo test, node --test (TAP or spec), vitest, and the Python suites,
# which print TAP.
count_tests() {
  awk '
    /^test result:/              { passed += $4; failed += $6 }
    /^(#|ℹ) pass [0-9]+$/        { passed += $3 }
    /^(#|ℹ) (fail|cancelled) [0-9]+$/ { failed += $3 }
    /^ *Tests .*\([0-9]+\)$/     { for (i = 2; i <= NF; i++) { if ($i == "passed") passed += $(i-1); if ($i == "failed") failed += $(i-1) } }
    END                          { print passed + 0, failed + 0 }
  ' "$1"
}

# The failed tests of cargo test, node --test's spec reporter, vitest and pytest: the name of each on a line, then the first lines
# of its error, indented.
name_failures() {
  awk '
    function failure(name) {
      left = 0
      if (name in named) return
      named[name]
      print name
      left = 12
    }
    /^test .* \.\.\. FAILED$/     { sub(/^test /, ""); sub(/ \.\.\. FAILED$/, ""); cargo[$0]; next }
    /^---- .* stdout ----$/      { sub(/^---- /, ""); sub(/ stdout ----$/, ""); failure($0); next }
    /^ *FAIL /                   { sub(/^ *FAIL +/, ""); failure($0); next }
    /^(FAILED|ERROR) .*::/       { sub(/^[A-Z]+ /, ""); failure($0); left = 0; next }
    /^✖ failing tests:$/         { listed = 1; next }
    /^ℹ tests /                  { listed = 0 }
    listed && /^✖ /              { sub(/^✖ /, ""); failure($0); next }
    /^ *(at|❯) |^(note: |stack backtrace:|test result: |----|⎯⎯⎯)/ { left = 0 }
    left > 0 && NF               { print "    " substr($0, 1, 160); left -= 1 }
    END                          { for (name in cargo) failure(name) }
  ' "$1"
}

# A suite's counts of passed and failed tests, its exit status and duration.
result_of() {
  local suite=$1 status duration suite_passed suite_failed
  read -r status duration <"$logs/$suite.status"
  read -r suite_passed suite_failed < <(count_tests "$logs/$suite.log")
  # A suite can also fail as a whole, for instance if it does not compile or finds no test.
  if [ "$suite_failed" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$suite_passed" -eq 0 ]; }; then suite_failed=1; fi
  echo "$suite_passed $suite_failed $status $duration"
}

# Prints a suite's summary line as soon as it has ended.
summarise() {
  local suite_passed suite_failed status duration
  read -r suite_passed suite_failed status duration < <(result_of "$1")
  printf '%-12s %d passed, %d failed (%d s)\n' "$1" "$suite_passed" "$suite_failed" "$duration"
}

# Adds a suite to the totals, and prints its log if it failed.
close() {
  local suite=$1 suite_passed suite_failed status duration names
  chosen "$suite" || return 0
  # Its lane was interrupted.
  [ -f "$logs/$suite.status" ] || { echo "1 0" >"$logs/$suite.status"; : >>"$logs/$suite.log"; }
  read -r suite_passed suite_failed status duration < <(result_of "$suite")
  passed=$((passed + suite_passed))
  failed=$((failed + suite_failed))
  [ "$suite_failed" -gt 0 ] || return 0
  printf -- '---- %s (%s) ----\n' "$suite" "$logs/$suite.log"
  [ "$status" -ne 124 ] || printf '… ended after %s\n' "$longest"
  without_progress "$logs/$suite.log" | tail -n 400
  printf -- '---- end of %s ----\n' "$suite"
  # Repeated at the very end, where one looks first.
  names=$(name_failures "$logs/$suite.log")
  failures+=$(printf '%s\n' "${names:-as a whole, with status $status}" | sed "s/^[^ ]/failed: $suite: &/")$'\n'
}

run_frontend() { run frontend npm --prefix frontend test; }
run_identity() { run identity actors/identity/tests/run; }
run_deploy() { run deploy deploy/tests/run; }
run_tolerant() { run e2e fleet/tests/e2e/run tolerant; }
run_api() { run api fleet/tests/api/run; }

# Builds what the chosen suites test.
build() {
  local suite
  for suite in "${with_binary[@]}"; do
    if chosen "$suite"; then
      scripts/build.sh --tests
      return
    fi
  done
}

# The panel's tests need no binary, so they run during the build.
lane run_frontend
if ! build; then
  # Otherwise they would test an earlier build.
  for suite in "${with_binary[@]}"; do
    echo "not run: camofleet does not build" >"$logs/$suite.log"
    echo "1 0" >"$logs/$suite.status"
  done
fi
lane run_deploy
lane run_identity
run rust cargo test --locked --workspace --no-fail-fast
join_lanes || true
# Of the suites with real browsers these two can run in parallel. The others have tight limits of time and memory, so each
# runs alone.
run driver npm --prefix actors/driver test
lane run_api
lane run_tolerant
join_lanes || true
run e2e-exacting fleet/tests/e2e/run exacting

for suite in "${suites[@]}"; do close "$suite"; done
printf 'all suites took %d s\n' "$SECONDS"
printf '%s' "$failures"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
