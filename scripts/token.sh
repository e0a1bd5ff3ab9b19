#!/usr/bin/env bash
# Creates missing access tokens in an env file, which camofleet and compose read, and prints the clients' token.
#
#   scripts/token.sh [FILE]     .env of this checkout
#
# CONTROL_API_TOKEN is for clients and the panel; WORKER_API_TOKEN and RUNNER_API_TOKEN are used between the containers
# behind control. Values that are set in the file are kept.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

file=${1:-.env}
umask 077

# The value of a variable in the file; the last line wins.
value() { [ ! -f "$file" ] || sed -n "s/^$1=//p" "$file" | tail -n 1; }

for name in CONTROL_API_TOKEN WORKER_API_TOKEN RUNNER_API_TOKEN; do
  if [ -n "$(value "$name")" ]; then continue; fi
  token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  [ ${#token} -eq 64 ] || fail "/dev/urandom gave no random bytes"
  # Without this, an unterminated last line would be joined with the new one.
  if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then echo >>"$file"; fi
  echo "$name=$token" >>"$file"
done
value CONTROL_API_TOKEN
