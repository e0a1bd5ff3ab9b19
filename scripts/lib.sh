# shellcheck shell=bash
# Shared by the scripts beside it, which source it from the checkout's root.

# How often something that takes long says how far it is, in seconds.
progress_every=${PROGRESS_EVERY:-20}

# Whether the last line of the output may be rewritten: on a terminal, while nothing else writes there.
is_live() {
  [ -t 1 ] && [ -z "${side_by_side:-}" ]
}

# How far a command is by what it has printed: cargo's own count of crates.
progress_of() {
  tr '\r' '\n' <"$1" | awk '
    /^ *(Building|Checking|Documenting) \[/ && match($0, /\] +[0-9]+\/[0-9]+/) { split(substr($0, RSTART + 1, RLENGTH - 1), crates, "/") }
    END { if (2 in crates) print ", compiled" crates[1] " of " crates[2] " crates" }
  '
}

# Says how long a command has run and how far it is: in place on a terminal, else with a line now and then. To be started in
# the background, and ended when the command has; it also ends with the script.
report_progress() {
  local name=$1 log=$2 started=$SECONDS next=$progress_every
  while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
    if is_live; then
      printf '\r\033[K%s … %d s%s' "$name" $((SECONDS - started)) "$(progress_of "$log")"
    elif [ $((SECONDS - started)) -ge "$next" ]; then
      printf '%s … %d s%s\n' "$name" $((SECONDS - started)) "$(progress_of "$log")"
      next=$((next + progress_every))
    fi
  done
}

# Ends a report_progress by its process id, and takes the line back that it may have left.
end_progress() {
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  if is_live; then printf '\r\033[K'; fi
}

# Runs a command and prints one line with its name and duration. Its output is shown only if it fails, because progress
# messages would hide the relevant line.
step() {
  local name=$1 log reporter status=0 started=$SECONDS
  shift
  log=$(mktemp)
  if is_live; then printf '%s …' "$name"; fi
  report_progress "$name" "$log" &
  reporter=$!
  # Off a terminal cargo does not count the crates unless it is asked to.
  CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=100 "$@" >"$log" 2>&1 </dev/null || status=$?
  end_progress "$reporter"
  if [ "$status" -eq 0 ]; then
    printf '%s … ok (%d s)\n' "$name" $((SECONDS - started))
  else
    # Printed at once, so that steps side by side don't mix.
    printf '%s … FAILED (%d s)\n%s\n' "$name" $((SECONDS - started)) "$(without_progress "$log")"
  fi
  rm -f "$log"
  return "$status"
}

# What a command has printed, without the lines that cargo has rewritten.
without_progress() {
  tr '\r' '\n' <"$1" | sed -E 's/\x1b\[K//g; /^ *(Building|Checking|Documenting) \[.*\] +[0-9]+\/[0-9]+/d; /^ +$/d'
}

# Starts a function side by side with the script. It has a process group of its own, by which it is ended with all that it has
# started when the script is broken off.
lanes=()
lane() {
  side_by_side=true
  trap 'break_off 130' INT
  trap 'break_off 143' TERM
  set -m
  "$@" &
  set +m
  lanes+=($!)
}

# Waits for all lanes; fails if one of them did.
join_lanes() {
  local pid status=0
  for pid in "${lanes[@]}"; do wait "$pid" || status=1; done
  lanes=()
  side_by_side=
  return "$status"
}

# Ends all lanes, and the script with a status; a second Ctrl-C does not wait for them.
break_off() {
  local pid
  trap - INT TERM
  for pid in "${lanes[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
  wait "${lanes[@]}" 2>/dev/null || true
  exit "$1"
}

# Prints an error of one line and exits.
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
