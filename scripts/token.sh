#!/usr/bin/env bash
# Makes the access tokens that an env file lacks, and prints the one that clients bring. camofleet and compose read the file.
#
#   scripts/token.sh [FILE]     .env of this checkout
#
# CONTROL_API_TOKEN is asked of clients and by the panel; WORKER_API_TOKEN and RUNNER_API_TOKEN among the containers behind
# control. What is set in the file stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

file=${1:-.env}
umask 077

# The value of a variable in the file; of several lines the last counts.
value() { [ ! -f "$file" ] || sed -n "s/^$1=//p" "$file" | tail -n 1; }

for name in CONTROL_API_TOKEN WORKER_API_TOKEN RUNNER_API_TOKEN; do
  if [ -n "$(value "$name")" ]; then continue; fi
  token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  [ ${#token} -eq 64 ] || fail "/dev/urandom gave no random bytes"
  # A last line without an end would be joined with the new one.
  if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then echo >>"$file"; fi
  echo "$name=$token" >>"$file"
done
value CONTROL_API_TOKEN
