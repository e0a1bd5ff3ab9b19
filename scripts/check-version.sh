#!/usr/bin/env bash
# Checks that all files have camofleet's version from Cargo.toml, under [workspace.package].
#
#   scripts/check-version.sh            the check, a part of `make lint`
#   scripts/check-version.sh --write    updates all files after a change of Cargo.toml
#   scripts/check-version.sh --print    prints the version
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

mode=${1:---check}
version=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$version" ] || fail 'Cargo.toml states no version under [workspace.package]'
status=0

# Checks or updates the version in the lines of a file that begin with an extended regular expression; with a third argument,
# only in a range of lines.
follow() {
  local file=$1 before=$2 range=${3:-1,$} stated
  if [ "$mode" = --write ]; then sed -E -i "${range}s/^(${before}\"?)[^\",]+/\1$version/" "$file"; fi
  stated=$(sed -nE "${range}s/^${before}\"?([^\",]+)\"?,?\$/\1/p" "$file" | sort --unique)
  if [ "$stated" != "$version" ]; then
    printf '%s states the version %s, not %s; scripts/check-version.sh --write makes it follow\n' \
      "$file" "${stated:-nowhere}" "$version"
    status=1
  fi
}

case $mode in
  --print)
    echo "$version"
    exit
    ;;
  --write) cargo update --workspace --quiet ;;
  --check) ;;
  *) fail "usage: scripts/check-version.sh [--write | --print]" ;;
esac

while read -r package; do
  follow "$package" '  "version": '
  lock=${package%.json}-lock.json
  # Further down it has the versions of other packages.
  if [ -f "$lock" ]; then follow "$lock" ' +"version": ' 1,9; fi
done < <(find . \( -name node_modules -o -name target -o -name .venv \) -prune -o -name package.json -print | sort)
follow frontend/openapi.json '    "version": '
for chart in deploy/helm/*/Chart.yaml; do
  [ -f "$chart" ] || continue
  follow "$chart" 'version: '
  follow "$chart" 'appVersion: '
done
exit "$status"
