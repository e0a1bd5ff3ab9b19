#!/usr/bin/env bash
# Run this before a commit: quick lints and tests of what differs from a commit. Runs all of them, prints their durations, and
# fails if one failed. `make lint` and `make test` run everything.
#
#   scripts/check.sh [COMMIT]    HEAD unless another is named, such as main
# shellcheck disable=SC2317 # the functions are called by lane
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

base=$(git rev-parse --verify --quiet "${1:-HEAD}^{commit}") || fail "there is no commit ${1:-HEAD}"
mapfile -t changed < <({ git diff --name-only --diff-filter=d "$base" && git ls-files --others --exclude-standard; } | sort --unique)

# The changed files below a directory that end in one of some suffixes, relative to it.
changed_in() {
  local directory=$1 file suffix
  shift
  for file in "${changed[@]}"; do
    [[ "$file" == "$directory"/* ]] || continue
    for suffix in "$@"; do
      if [[ "$file" == *."$suffix" ]]; then echo "${file#"$directory"/}"; fi
    done
  done
}

# Runs a program of an npm package within its directory.
in_package() {
  local directory=$1 program=$2
  shift 2
  (cd "$directory" && "./node_modules/.bin/$program" "$@")
}

check_rust() {
  local status=0
  step "rustfmt" cargo fmt --all --check || status=1
  step "clippy" cargo clippy --locked --workspace --all-targets -- -D warnings || status=1
  step "unit tests in Rust" cargo test --locked --workspace --lib --bins --no-fail-fast || status=1
  return "$status"
}

check_panel() {
  local status=0 scripts formatted
  mapfile -t scripts < <(changed_in frontend ts tsx js)
  mapfile -t formatted < <(changed_in frontend ts tsx js css json html)
  [ ${#formatted[@]} -gt 0 ] || return 0
  step "types of the panel" in_package frontend tsc -b || status=1
  step "prettier in frontend" in_package frontend prettier --check --ignore-unknown "${formatted[@]}" || status=1
  if [ ${#scripts[@]} -gt 0 ]; then
    step "eslint in frontend" in_package frontend eslint --no-warn-ignored "${scripts[@]}" || status=1
  fi
  step "tests of what the panel's changes reach" in_package frontend vitest run --changed "$base" --passWithNoTests || status=1
  return "$status"
}

check_others() {
  local directory scripts status=0
  check_panel || status=1
  for directory in actors/driver fleet/tests/e2e; do
    mapfile -t scripts < <(changed_in "$directory" mjs)
    if [ ${#scripts[@]} -gt 0 ]; then
      step "eslint in $directory" in_package "$directory" eslint "${scripts[@]}" || status=1
    fi
  done
  step "facts in the documents" npm --prefix docs test || status=1
  step "links of the documents" node docs/check-links.mjs || status=1
  step "pages of the API" node docs/generate-api.mjs --check || status=1
  step "direction of dependencies" scripts/check-dependency-direction.sh || status=1
  step "one version everywhere" scripts/check-version.sh || status=1
  mapfile -t scripts < <(changed_in scripts sh)
  if [ ${#scripts[@]} -gt 0 ] && command -v shellcheck >/dev/null; then
    step "shellcheck" shellcheck --external-sources "${scripts[@]/#/scripts/}" || status=1
  fi
  return "$status"
}

status=0
# The web crate embeds any existing pages.
[ -f frontend/dist/index.html ] || scripts/build.sh --frontend || status=1
lane check_rust
lane check_others
join_lanes || status=1
printf 'all checks took %d s\n' "$SECONDS"
exit "$status"
