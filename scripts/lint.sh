#!/usr/bin/env bash
# Runs every lint to its end and fails if one did.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

status=0

# The pages are part of the web crate, which doesn't compile without them.
scripts/build.sh --frontend || status=1
step "rustfmt" cargo fmt --all --check || status=1
step "clippy" cargo clippy --quiet --locked --workspace --all-targets -- -D warnings || status=1
step "rustdoc" env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --no-deps --document-private-items || status=1
# That of docs builds the site and checks its links.
for directory in frontend actors/driver fleet/tests/e2e fleet/tests/containers docs; do
  if has_npm_script "$directory" lint; then
    step "npm run lint in $directory" npm --prefix "$directory" run lint || status=1
  fi
done
step "direction of dependencies" scripts/check-dependency-direction.sh || status=1
step "self-test of that check" scripts/check-dependency-direction.sh --self-test || status=1
step "one version everywhere" scripts/check-version.sh || status=1
if command -v shellcheck >/dev/null; then
  step "shellcheck" shellcheck --external-sources scripts/*.sh deploy/*/*.sh deploy/tests/run .ci/run || status=1
fi
exit "$status"
