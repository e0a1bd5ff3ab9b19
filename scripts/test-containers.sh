#!/usr/bin/env bash
# Builds the images and runs the tests of fleet/tests/containers against them: compose.yaml in each of its shapes, and the
# download of Camoufox. Removes the containers that it started, also if it fails or is interrupted.
#
#   scripts/test-containers.sh [FILE…]     only these of fleet/tests/containers, such as split.test.mjs
#
#   SKIP_IMAGES=1   uses existing images
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

for tool in curl unzip python3; do
  command -v "$tool" >/dev/null || fail "$tool is not installed; it is a package of every distribution"
done

if [ -z "${SKIP_IMAGES:-}" ]; then scripts/images.sh; fi

files=("$@")
if [ ${#files[@]} -eq 0 ]; then files=(fetch-camoufox.test.mjs fleet.test.mjs split.test.mjs scale.test.mjs); fi

# The tests remove their containers themselves. After an interruption, the remaining ones are found by the project's name.
export TEST_PROJECT=camofleet-test-$$
# shellcheck disable=SC2317 # called by the trap
remove_leftovers() {
  local left
  mapfile -t left < <(scripts/containers.sh engine ps --all --quiet --filter "label=com.docker.compose.project=$TEST_PROJECT")
  if [ ${#left[@]} -gt 0 ]; then scripts/containers.sh engine rm --force "${left[@]}" >/dev/null; fi
  scripts/containers.sh engine network rm "${TEST_PROJECT}_default" >/dev/null 2>&1 || true
  scripts/containers.sh engine volume rm "${TEST_PROJECT}_profiles" >/dev/null 2>&1 || true
}
trap remove_leftovers EXIT
trap 'exit 130' INT TERM

started=$SECONDS
status=0
(cd fleet/tests/containers && exec node --test --test-concurrency=1 --test-timeout=600000 --test-reporter=spec "${files[@]}") || status=$?
printf 'the tests of the containers took %d s\n' $((SECONDS - started))
exit "$status"
