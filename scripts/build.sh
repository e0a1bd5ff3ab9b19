#!/usr/bin/env bash
# Builds the web pages and the release binary, which carries them.
#
#   scripts/build.sh               both
#   scripts/build.sh --frontend    only the pages
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# All that a build of the pages reads: their sources and the packages that are installed.
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
if [ "${1:-}" != --frontend ]; then
  step "building camofleet" cargo build --quiet --release --locked --package camofleet
fi
