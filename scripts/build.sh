#!/usr/bin/env bash
# Builds the web pages and camofleet, which embeds them.
#
#   scripts/build.sh               the pages and the release binary
#   scripts/build.sh --frontend    only the pages
#   scripts/build.sh --tests       the pages, and without optimisation the binary and all Rust tests, for running the tests
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# The inputs of the pages' build: their sources and the installed packages.
frontend_fingerprint() {
  {
    find frontend \( -name node_modules -o -name dist \) -prune -o -type f ! -name '*.tsbuildinfo' -print0 |
      sort --zero-terminated | xargs --null sha256sum
    cat frontend/node_modules/.camofleet-installed
  } | sha256sum
}

build_frontend() {
  local stamp=frontend/node_modules/.camofleet-built fingerprint
  [ -f frontend/package.json ] || return 0
  fingerprint=$(frontend_fingerprint)
  if [ -f frontend/dist/index.html ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$fingerprint" ]; then return; fi
  step "building the web pages" npm --prefix frontend run build
  echo "$fingerprint" >"$stamp"
}

build_frontend
case ${1:-} in
  --frontend) ;;
  # In one command, so that libraries are compiled once, with the features that both the tests and the binary need.
  --tests) step "building camofleet and its tests" cargo build --locked --workspace --bins --tests ;;
  *) step "building camofleet" cargo build --release --locked --package camofleet ;;
esac
