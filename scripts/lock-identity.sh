#!/usr/bin/env bash
# Locks what the identity maker depends on: writes actors/identity/requirements.txt, with the hashes of all files, from
# requirements.in beside it. Needs Python 3.11, the oldest one that is supported, and the package registry.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

python=${PYTHON:-python3.11}
command -v "$python" >/dev/null || fail "there is no $python; name a Python 3.11 with PYTHON"
scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check pip-tools
cd actors/identity
"$scratch/venv/bin/pip-compile" --quiet --strip-extras --generate-hashes --no-header --no-emit-index-url \
  --no-emit-find-links --output-file "$scratch/requirements.txt" requirements.in
{
  echo "# Made of requirements.in by scripts/lock-identity.sh, which also updates it; installed with its hashes."
  sed '/^$/d' "$scratch/requirements.txt"
} >requirements.txt
