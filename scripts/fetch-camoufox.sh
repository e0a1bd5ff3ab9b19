#!/bin/sh
# Downloads a Camoufox release from GitHub, verifies it and unpacks it. Needs curl, unzip and sha256sum.
#
#   scripts/fetch-camoufox.sh VERSION DIRECTORY     such as 152.0.4-beta.30; "none" leaves DIRECTORY empty
#
#   CAMOUFOX_SHA256     the archive's checksum; unset: the one in camoufox.sha256 beside this script
#   CAMOUFOX_BASE_URL   the base URL of the releases; unset: GitHub
#   TARGETARCH          amd64 or arm64; unset: this machine's
#   CAMOUFOX_RETRY_DELAY   seconds between two of six attempts; unset: 3
set -eu

version=$1
directory=$2
base_url=${CAMOUFOX_BASE_URL:-https://github.com/daijro/camoufox/releases/download}
known=$(dirname "$0")/camoufox.sha256

fail() {
  echo "error: $*" >&2
  exit 1
}

mkdir -p "$directory"
[ "$version" != none ] || exit 0

case "${TARGETARCH:-$(uname -m)}" in
  amd64 | x86_64) arch=x86_64 ;;
  arm64 | aarch64) arch=arm64 ;;
  *) fail "there is no Camoufox for ${TARGETARCH:-$(uname -m)}; build with CAMOUFOX=none" ;;
esac
archive=camoufox-$version-lin.$arch.zip
url=$base_url/v$version/$archive

expected=${CAMOUFOX_SHA256:-$(awk -v name="$archive" '$2 == name { print $1 }' "$known")}
[ -n "$expected" ] || fail "the checksum of $archive is not known; give it as CAMOUFOX_SHA256 \
(https://github.com/daijro/camoufox/releases/tag/v$version shows it), or build with CAMOUFOX=none"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# A stalled connection is aborted and retried like a lost one.
curl --fail --silent --show-error --location --retry 5 --retry-all-errors --retry-delay "${CAMOUFOX_RETRY_DELAY:-3}" \
  --connect-timeout 20 --speed-limit 1024 --speed-time 60 --output "$scratch/$archive" "$url" ||
  fail "can't fetch $url; where GitHub can't be reached, name a mirror with CAMOUFOX_BASE_URL, or build with CAMOUFOX=none"

actual=$(sha256sum "$scratch/$archive" | cut -d ' ' -f 1)
[ "$actual" = "$expected" ] || fail "$url has the checksum $actual, not $expected; \
if the release was replaced on purpose, give the new one as CAMOUFOX_SHA256"

unzip -q -o "$scratch/$archive" -d "$directory"
[ -f "$directory/camoufox-bin" ] || fail "$archive holds no camoufox-bin"
chmod -R a+rX "$directory"
# The installers of Camoufox write this beside it; camofleet reads the version from it.
[ -f "$directory/version.json" ] ||
  printf '{"version": "%s", "release": "%s"}\n' "${version%%-*}" "${version#*-}" >"$directory/version.json"
