#!/usr/bin/env bash
# A common interface of container engines for the scripts and tests of this checkout: Docker with its compose plugin, Podman
# with podman-compose, or a script that implements the four commands itself.
#
#   scripts/containers.sh setup                 checks that there is one, and prints which
#   scripts/containers.sh build ARGS            docker build ARGS
#   scripts/containers.sh compose ARGS          docker compose ARGS
#   scripts/containers.sh engine ARGS           docker ARGS
#
#   CONTAINERS_TOOL   such a script: it implements setup, build and compose, and provides a `podman`
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/lib.sh"

has_docker() { docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; }
has_podman() { command -v podman >/dev/null && command -v podman-compose >/dev/null; }

tool=${CONTAINERS_TOOL:-}
if [ -z "$tool" ] && ! has_docker; then
  if [ -x "$root/../shared/tools/containers.sh" ]; then
    tool=$root/../shared/tools/containers.sh
  else
    has_podman || fail "no container engine: start Docker (with its compose plugin), or install podman and podman-compose"
  fi
fi

# Podman's own image format has no healthchecks.
if [ -n "$tool" ]; then
  engine=(podman)
  build=("$tool" build --format docker)
  compose=("$tool" compose)
elif has_docker; then
  engine=(docker)
  build=(docker build)
  compose=(docker compose)
else
  engine=(podman)
  build=(podman build --format docker)
  compose=(podman-compose --podman-build-args=--format=docker)
fi

verb=${1:-}
shift || true
case "$verb" in
  setup)
    if [ -n "$tool" ]; then step "setting up the container engine" "$tool" setup; fi
    "${engine[@]}" --version
    ;;
  build) exec "${build[@]}" "$@" ;;
  compose) exec "${compose[@]}" "$@" ;;
  engine) exec "${engine[@]}" "$@" ;;
  *) fail "usage: scripts/containers.sh setup | build ARGS | compose ARGS | engine ARGS" ;;
esac
