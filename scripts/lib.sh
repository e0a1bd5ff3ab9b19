# shellcheck shell=bash
# Shared by the scripts beside it, which source it from the checkout's root.

# Runs a command as one line of output: its name and how long it took. What the command prints is shown only
# when it fails, because a screen of progress hides the one line that matters.
step() {
  local name=$1 log status=0 started=$SECONDS
  shift
  log=$(mktemp)
  printf '%s … ' "$name"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -eq 0 ]; then
    printf 'ok (%d s)\n' $((SECONDS - started))
  else
    printf 'FAILED (%d s)\n' $((SECONDS - started))
    cat "$log"
  fi
  rm -f "$log"
  return "$status"
}

# Says in one line why there is no going on.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Whether the npm package in a directory has a script of this name.
has_npm_script() {
  local directory=$1 script=$2
  [ -f "$directory/package.json" ] &&
    node --eval 'process.exit(require(process.argv[1]).scripts?.[process.argv[2]] ? 0 : 1)' "$PWD/$directory/package.json" "$script"
}
