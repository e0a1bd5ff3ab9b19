#!/usr/bin/env bash
# Builds the images of all targets, or of the named ones, and prints their sizes.
#
#   scripts/images.sh [TARGET…]
#
#   CAMOUFOX   the release of Camoufox, or none; unset: the Dockerfile's, or none where GitHub can't be reached
#   GEOIP      none leaves out the city database
#   REGISTRY   the prefix of the names, such as registry.example/team
#   TAG        latest
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

targets=(fleet runner runner-vnc control worker gateway ui)
if [ $# -gt 0 ]; then targets=("$@"); fi

if [ -z "${CAMOUFOX:-}" ] && ! curl --silent --fail --head --max-time 10 --output /dev/null https://github.com; then
  echo "GitHub can't be reached: the images get Debian's Firefox and no Camoufox (CAMOUFOX=none)"
  CAMOUFOX=none
fi

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
commit=${CAMOFLEET_COMMIT:-$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)}
arguments=(--build-arg "VERSION=$version" --build-arg "CAMOFLEET_COMMIT=$commit")
for name in CAMOUFOX CAMOUFOX_SHA256 CAMOUFOX_BASE_URL GEOIP; do
  if [ -n "${!name:-}" ]; then arguments+=(--build-arg "$name=${!name}"); fi
done

image_of() {
  local name=camofleet-$1
  if [ "$1" = fleet ]; then name=camofleet; fi
  echo "${REGISTRY:+$REGISTRY/}$name:${TAG:-latest}"
}

scripts/containers.sh setup
for target in "${targets[@]}"; do
  step "building $(image_of "$target")" scripts/containers.sh build "${arguments[@]}" --target "$target" --tag "$(image_of "$target")" .
done

printf '\n%-40s %s\n' image size
for target in "${targets[@]}"; do
  bytes=$(scripts/containers.sh engine image inspect --format '{{.Size}}' "$(image_of "$target")")
  printf '%-40s %d MB\n' "$(image_of "$target")" $((bytes / 1000000))
done
