#!/usr/bin/env bash
# Builds the images of this checkout on a k3s node, imports them into its containerd, and installs or upgrades the chart
# with them. No registry is needed. In a cluster of several nodes, run it with --skip-helm on each node that may get pods.
#
#   deploy/k3s/build-and-import.sh [OPTION…] [-- ARGUMENT OF helm…]
#
#   --dry-run            prints the commands that would change something instead of running them
#   --release NAME       camofleet
#   --namespace NAME     camofleet
#   --tag TAG            the images' tag; by default the commit, so that an upgrade starts new pods
#   --skip-build         imports images of that tag that were built before
#   --skip-helm          builds and imports only
#   --help
#
#   deploy/k3s/build-and-import.sh -- --values my-values.yaml --set ingress.enabled=true
#
# CAMOUFOX and CONTAINERS_TOOL are as for `make images`. It runs as you, and uses sudo only for the import. The
# checkout is used as it is: nothing is fetched or discarded. Images of earlier tags are kept until k3s needs the disk
# space.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
. scripts/lib.sh

# The images of the chart's pods.
targets=(ui control worker runner runner-vnc gateway)
# The prefix that containerd adds to image names without a registry, as in the chart.
registry=docker.io/library

dry_run=false
release=camofleet
namespace=camofleet
tag=
build=true
helm=true
helm_arguments=()

usage() { sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "$0"; }

while [ $# -gt 0 ]; do
  case "$1" in
    --dry-run) dry_run=true ;;
    --release | --namespace | --tag)
      [ -n "${2:-}" ] || fail "$1 needs a value; see --help"
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    --skip-build) build=false ;;
    --skip-helm) helm=false ;;
    --help)
      usage
      exit
      ;;
    --)
      shift
      helm_arguments=("$@")
      break
      ;;
    *) fail "unknown option $1; see --help" ;;
  esac
  shift
done

if [ -z "$tag" ]; then
  tag=$(git rev-parse --short=12 HEAD) || fail "this is no git checkout: name the images' tag with --tag"
  # Different states of a modified checkout must not share a tag.
  if [ -n "$(git status --porcelain)" ]; then tag+=-$(date +%Y%m%d%H%M%S); fi
fi

# Runs a command, or prints it.
run() {
  if $dry_run; then
    # Quoted for the shell where needed.
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

# k3s' containerd belongs to root.
as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi

import() {
  local image=$1 take=("${as_root[@]}" k3s ctr --namespace k8s.io images import -)
  if $dry_run; then
    echo "scripts/containers.sh engine save $image | ${take[*]}"
  else
    scripts/containers.sh engine save "$image" | "${take[@]}"
  fi
}

if ! $dry_run; then
  command -v k3s >/dev/null || fail "k3s is not installed on this machine; run this on a node: https://docs.k3s.io/quick-start"
  if $helm; then command -v helm >/dev/null || fail "helm is not installed: https://helm.sh/docs/intro/install"; fi
fi

if $build; then run env "REGISTRY=$registry" "TAG=$tag" scripts/images.sh "${targets[@]}"; fi
for target in "${targets[@]}"; do
  import "$registry/camofleet-$target:$tag"
done

if $helm; then
  # Without another configuration, helm uses that of k3s.
  if [ -z "${KUBECONFIG:-}" ] && [ ! -e "$HOME/.kube/config" ]; then
    export KUBECONFIG=/etc/rancher/k3s/k3s.yaml
    $dry_run || [ -r "$KUBECONFIG" ] || fail "$KUBECONFIG can't be read; make one of your own: \
mkdir -p ~/.kube && sudo k3s kubectl config view --raw >~/.kube/config && chmod 600 ~/.kube/config"
  fi
  run helm upgrade --install "$release" deploy/helm/camo-fleet --namespace "$namespace" --create-namespace \
    --set-string "image.tag=$tag" --wait --timeout 15m "${helm_arguments[@]}"
fi
