# shellcheck shell=bash
# Shared by the scripts beside it, which source it from the checkout's root.

# The interval of progress reports, in seconds.
progress_every=${PROGRESS_EVERY:-20}

# Whether the last line of the output may be rewritten: only on a terminal, and while nothing else writes to it.
is_live() {
  [ -t 1 ] && [ -z "${side_by_side:-}" ]
}

# The progress of a command from its output: cargo's count of crates.
progress_of() {
  tr '\r' '\n' <"$1" | awk '
    /^ *(Building|Checking|Documenting) \[/ && match($0, /\] +[0-9]+\/[0-9]+/) { split(substr($0, RSTART + 1, RLENGTH - 1), crates, "/") }
    END { if (2 in crates) print ", compiled" crates[1] " of " crates[2] " crates" }
  '
}

# Reports the duration and progress of a command: in place on a terminal, else with a line at each interval. Runs in the
# background until the command or the script ends.
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

# Stops a report_progress by its process id, and removes its last line.
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
  # Without a terminal, cargo has to be configured to count the crates.
  CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=100 "$@" >"$log" 2>&1 </dev/null || status=$?
  end_progress "$reporter"
  if [ "$status" -eq 0 ]; then
    printf '%s … ok (%d s)\n' "$name" $((SECONDS - started))
  else
    # Printed at once, so that the output of parallel steps does not mix.
    printf '%s … FAILED (%d s)\n%s\n' "$name" $((SECONDS - started)) "$(without_progress "$log")"
  fi
  rm -f "$log"
  return "$status"
}

# The output of a command without the progress lines of cargo.
without_progress() {
  tr '\r' '\n' <"$1" | sed -E 's/\x1b\[K//g; /^ *(Building|Checking|Documenting) \[.*\] +[0-9]+\/[0-9]+/d; /^ +$/d'
}

# Runs a function in parallel with the script, in its own process group, so that all its processes can be ended if the script
# is interrupted.
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

# Waits for all lanes; fails if one of them failed.
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
