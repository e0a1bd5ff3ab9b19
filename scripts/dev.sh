#!/usr/bin/env bash
# Builds camofleet without optimisation and runs it, again whenever a source changes, beside the panel's development server,
# which reloads the pages. Ctrl-C ends both.
#
#   scripts/dev.sh [OPTIONS]              options of camofleet serve, such as --port 9001
#   scripts/dev.sh --backend [OPTIONS]    without the panel's server, which runs in its own container in compose.dev.yaml
#
#   CONTROL_PORT   the backend's port, 9000; UI_PORT: that of the panel's server, 5173
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

panel=true
if [ "${1:-}" = --backend ]; then
  panel=false
  shift
fi
options=("$@")

port=${CONTROL_PORT:-9000}
for index in "${!options[@]}"; do
  case ${options[index]} in
    --port) port=${options[index + 1]:-} ;;
    --port=*) port=${options[index]#--port=} ;;
  esac
done
ui_port=${UI_PORT:-5173}

scripts/setup.sh --dev
# The web crate embeds any existing pages; changes come from the panel's server.
if [ ! -f frontend/dist/index.html ] || ! $panel; then scripts/build.sh --frontend; fi

sources() {
  find Cargo.toml Cargo.lock api actors web fleet \( -name node_modules -o -path fleet/tests \) -prune -o \
    \( -name '*.rs' -o -name 'Cargo.*' -o -name '*.mjs' \) -print
}

# entr exits with 2 if a file was added, and with 1 if one was removed, and then needs a new list of files.
run_backend() {
  local status
  while true; do
    status=0
    sources | entr -d -n -r cargo run --locked --package camofleet -- serve "${options[@]}" || status=$?
    case $status in
      1 | 2) sleep 1 ;;
      *) return "$status" ;;
    esac
  done
}

# shellcheck disable=SC2317 # called by lane
run_panel() {
  CAMOFLEET_ORIGIN=${CAMOFLEET_ORIGIN:-http://127.0.0.1:$port} npm --prefix frontend run --silent dev -- \
    --port "$ui_port" --strictPort --clearScreen false
}

if ! $panel; then
  run_backend
  exit
fi
printf 'panel: http://localhost:%s\nAPI:   http://127.0.0.1:%s, as soon as it is built\nCtrl-C ends both\n' "$ui_port" "$port"
lane run_backend
lane run_panel
# If one of them ends, the other is stopped too.
status=0
wait -n "${lanes[@]}" || status=$?
break_off "$status"
