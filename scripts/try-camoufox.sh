#!/usr/bin/env bash
# Tries Camoufox for real: installs it, starts a camofleet with it, opens a page of its own in several sessions, and prints a
# table of what contradicts what among some sixty properties (none expected). Needs GitHub and PyPI for the installation, and
# about 3 GB of disk.
#
#   scripts/try-camoufox.sh              exit status 0: no contradictions, 1: some, 69: Camoufox can't be fetched or started
#   scripts/try-camoufox.sh --firefox    the same page in the system's Firefox, to try the page itself
#
#   CAMOFLEET_BIN   the binary; unset: the one built from this checkout
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

readonly unavailable=69
engine=camoufox
case ${1:-} in
  '') ;;
  --firefox) engine=firefox ;;
  *) fail "there is no option $1; without one Camoufox is tried, with --firefox the page in the system's Firefox" ;;
esac

binary=${CAMOFLEET_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/debug/camofleet}
if [ -z "${CAMOFLEET_BIN:-}" ]; then scripts/build.sh --tests; fi

if [ "$engine" = camoufox ]; then
  if ! curl --silent --fail --head --max-time 20 --output /dev/null https://github.com; then
    echo "Camoufox can't be tried here: GitHub can't be reached, from which its model and its browser are fetched." >&2
    echo "Run this where it can, or try the page itself in the system's Firefox: scripts/try-camoufox.sh --firefox" >&2
    exit "$unavailable"
  fi
  "$binary" setup camoufox || exit "$unavailable"
fi

scratch=$(mktemp --directory)
camofleet=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  if [ -n "$camofleet" ]; then
    kill "$camofleet" 2>/dev/null || true
    wait "$camofleet" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

RUNNER_ENGINE=$engine CONTROL_PORT=0 RUNNER_RUN_DIR=$scratch/run RUNNER_PROFILES_DIR=$scratch/profiles \
  RUNNER_PREWARM_HEADLESS=0 RUNNER_PREWARM_VNC=0 "$binary" serve >"$scratch/out" 2>"$scratch/log" &
camofleet=$!
url=
for _ in $(seq 300); do
  url=$(sed -n 's#.*Panel: \(http://[^/]*\)/.*#\1#p' "$scratch/out" | head -1)
  if [ -n "$url" ] && "$binary" health --url "$url" >/dev/null 2>&1; then break; fi
  kill -0 "$camofleet" 2>/dev/null || break
  sleep 0.1
done
if ! "$binary" health --url "${url:-http://127.0.0.1:1}"; then
  cat "$scratch/log" >&2
  exit "$unavailable"
fi
grep 'engine:' "$scratch/log" || true
node scripts/try-camoufox.mjs "$url" "$engine"
