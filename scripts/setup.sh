#!/usr/bin/env bash
# Installs missing Debian packages and, from lock files, npm and Python packages. Silent if nothing is missing.
#
#   scripts/setup.sh            for building and running
#   scripts/setup.sh --tests    also for tests and lints
#   scripts/setup.sh --dev      what make dev needs as well as building and running
#   scripts/setup.sh --docs     only for the documentation as a site
#   scripts/setup.sh --geoip    only the city database for checks of proxies
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# libegl1 is for WebGL, libavcodec-extra for H.264 and ffmpeg for videos; python3-venv for the identity maker.
packages=(firefox-esr libegl1 libavcodec-extra ffmpeg tigervnc-standalone-server xvfb x11vnc xauth fonts-liberation
  build-essential python3 python3-venv make)
npm_packages=(actors/driver frontend)
python_packages=()
identity=true
tests=false
rust=true
if [ "${1:-}" = --tests ]; then
  tests=true
  packages+=(chromium openssl)
  npm_packages+=(fleet/tests/e2e docs)
  python_packages+=(fleet/tests/api deploy/tests)
elif [ "${1:-}" = --dev ]; then
  packages+=(entr)
elif [ "${1:-}" = --docs ]; then
  rust=false
  identity=false
  packages=()
  npm_packages=(docs)
elif [ "${1:-}" = --geoip ]; then
  rust=false
  identity=false
  packages=()
  npm_packages=(actors/geoip)
fi

require_toolchains() {
  ! $rust || command -v cargo >/dev/null || fail "cargo is not installed; see https://rustup.rs"
  local tool
  for tool in node npm; do
    command -v "$tool" >/dev/null || fail "$tool is not installed; Node.js 20 or newer with npm is needed: https://nodejs.org"
  done
  local version
  version=$(node --version)
  version=${version#v}
  [ "${version%%.*}" -ge 20 ] || fail "Node.js 20 or newer is needed; $(command -v node) is $version"
}

# A minimal Rust installation lacks these two.
require_lint_tools() {
  local missing=()
  cargo fmt --version >/dev/null 2>&1 || missing+=(rustfmt)
  cargo clippy --version >/dev/null 2>&1 || missing+=(clippy)
  [ ${#missing[@]} -eq 0 ] && return
  command -v rustup >/dev/null || fail "these parts of Rust are missing: ${missing[*]}"
  step "installing ${missing[*]}" rustup component add "${missing[@]}"
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

apt_get() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
    # Without a terminal nobody can type a password, so this fails instead of waiting.
    [ -t 2 ] || as_root+=(--non-interactive)
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet --option DPkg::Lock::Timeout=300 "$@"
}

install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    [ ${#packages[@]} -eq 0 ] || echo "note: not a Debian system, so install these yourself: ${packages[*]}"
    return
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    fail "run this as root, then try again: apt-get install ${missing[*]}"
  fi
  # The password prompt of sudo would be hidden with the rest of a step's output.
  if [ "$(id -u)" -ne 0 ] && [ -t 2 ]; then sudo --validate; fi
  step "updating the package lists" apt_get update
  step "installing ${missing[*]}" apt_get install --yes --no-install-recommends "${missing[@]}"
}

# A fingerprint of the inputs of node_modules; native modules also depend on Node's version.
npm_fingerprint() {
  { node --version; cat "$1/package.json" "$1/package-lock.json"; } | sha256sum
}

install_npm_packages() {
  local directory=$1 stamp=$1/node_modules/.camofleet-installed
  [ -f "$directory/package-lock.json" ] || return 0
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(npm_fingerprint "$directory")" ]; then return; fi
  # The tests use the system's Chromium and Firefox.
  PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 step "installing the npm packages of $directory" \
    npm --prefix "$directory" ci --no-audit --no-fund --loglevel=error
  # npm creates no node_modules for a package without dependencies.
  mkdir -p "$directory/node_modules"
  npm_fingerprint "$directory" >"$stamp"
}

# A fingerprint of the inputs of a virtual environment, which depends on its Python and its path.
python_fingerprint() {
  { python3 --version; realpath "$1"; cat "$1/requirements.txt"; } | sha256sum
}

create_virtual_environment() {
  local directory=$1
  rm -rf "$directory/.venv"
  # The list includes all dependencies, so nothing else is installed.
  python3 -m venv "$directory/.venv" &&
    "$directory/.venv/bin/pip" install --quiet --no-input --disable-pip-version-check --no-deps \
      --requirement "$directory/requirements.txt"
}

install_python_packages() {
  local directory=$1 stamp=$1/.venv/.camofleet-installed
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(python_fingerprint "$directory")" ]; then return; fi
  step "installing the Python packages of $directory" create_virtual_environment "$directory"
  python_fingerprint "$directory" >"$stamp"
}

# Camoufox' own library for the identity maker. Its model and the browser are fetched by `camofleet setup camoufox`.
install_identity_library() {
  [ "$(python3 actors/identity/install.py --check library 2>/dev/null || echo missing)" = current ] && return
  step "installing the Python packages of actors/identity" python3 actors/identity/install.py library
}

# These servers are only unpacked: installing their packages would start them on this machine's own ports.
servers=(nginx nginx-common dante-server tinyproxy-bin libwrap0 libnss-wrapper)

unpack_servers() {
  local directory=fleet/tests/e2e/.unpacked
  command -v dpkg-deb >/dev/null || return 0
  [ -f "$directory/complete" ] && [ "$(cat "$directory/complete")" = "${servers[*]}" ] && return
  step "unpacking ${servers[*]}" fetch_servers "$directory"
}

fetch_servers() {
  local directory=$1 archives status=0
  archives=$(mktemp --directory)
  { download_servers "$archives" || { apt_get update && download_servers "$archives"; }; } || status=$?
  for archive in "$archives"/*.deb; do dpkg-deb --extract "$archive" "$directory" || status=$?; done
  rm -rf "$archives"
  [ "$status" -ne 0 ] || echo "${servers[*]}" >"$directory/complete"
  return "$status"
}

# As root, apt downloads as its own user, who can't write there.
download_servers() {
  (cd "$1" && apt-get --option APT::Sandbox::User="$(id -un)" download "${servers[@]}")
}

# Side by side: each of them waits for the network or keeps one processor busy. apt-get is first, because they may need what it
# installs.
if $tests; then lane unpack_servers; fi
for directory in "${npm_packages[@]}"; do
  lane install_npm_packages "$directory"
done
for directory in "${python_packages[@]}"; do
  lane install_python_packages "$directory"
done
if $identity; then lane install_identity_library; fi
join_lanes
