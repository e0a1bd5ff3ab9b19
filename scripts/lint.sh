#!/usr/bin/env bash
# Runs all lints, and fails if one of them failed.
# shellcheck disable=SC2317 # the functions are called by lane
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

lint_rust() {
  local status=0
  step "rustfmt" cargo fmt --all --check || status=1
  step "clippy" cargo clippy --locked --workspace --all-targets -- -D warnings || status=1
  step "rustdoc" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items || status=1
  return "$status"
}

lint_others() {
  local directory status=0
  # The lint of docs builds the site and checks its links.
  for directory in frontend actors/driver fleet/tests/e2e fleet/tests/containers docs; do
    if has_npm_script "$directory" lint; then
      step "npm run lint in $directory" npm --prefix "$directory" run lint || status=1
    fi
  done
  step "direction of dependencies" scripts/check-dependency-direction.sh || status=1
  step "self-test of that check" scripts/check-dependency-direction.sh --self-test || status=1
  step "one version everywhere" scripts/check-version.sh || status=1
  if command -v shellcheck >/dev/null; then
    step "shellcheck" shellcheck --external-sources scripts/*.sh deploy/*/*.sh deploy/tests/run actors/identity/tests/run fleet/tests/e2e/run .ci/run || status=1
  fi
  return "$status"
}

status=0
# The web crate embeds the pages, so it doesn't compile without them.
scripts/build.sh --frontend || status=1
lane lint_rust
lane lint_others
join_lanes || status=1
printf 'all lints took %d s\n' "$SECONDS"
exit "$status"
