#!/usr/bin/env bash
# Builds camofleet for development and runs it, and again whenever a source changes. Needs entr.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
scripts/build.sh --frontend

sources() { find Cargo.toml Cargo.lock api actors web fleet -path '*/node_modules' -prune -o \( -name '*.rs' -o -name 'Cargo.*' -o -name '*.mjs' \) -print; }

# entr ends with 2 when there is a new file, which it then has to be told of; it ends itself at a signal.
while true; do
  status=0
  sources | entr -d -n -r cargo run --locked --package camofleet -- serve "$@" || status=$?
  [ "$status" -eq 2 ] || exit "$status"
done
