#!/usr/bin/env bash
# Checks the direction of dependencies, fleet → web → actors → api, and that of the modules within a crate:
#
#   api      only data types: no HTTP server or client, no actor, no operating system
#   actors   uses no HTTP server, no command line and no settings file
#   web      starts no process, calls no other server, holds no Mutex
#   fleet    reads settings and wires the parts; it has no handlers
#
#   scripts/check-dependency-direction.sh [ROOT]        checks a workspace, this one by default
#   scripts/check-dependency-direction.sh --self-test   breaks each rule, and checks that this is reported
set -euo pipefail
script=$(realpath "$0")

# The crates that a crate depends on: all of them, or the direct ones with --depth 1.
dependencies() {
  local crate=$1
  shift
  cargo tree --locked --package "$crate" --prefix none --format '{p}' "$@" | awk 'NR > 1 { print $1 }' | sort --unique
}

# forbid CRATE "what it must not have" LIST NAME…: reports each name that is in the list.
forbid() {
  local crate=$1 list=$2 name
  shift 2
  for name in "$@"; do
    if grep --quiet --line-regexp --fixed-strings -- "$name" <<<"$list"; then
      echo "$crate must not depend on $name"
      violations=$((violations + 1))
    fi
  done
}

# The lines of a crate's sources that are neither comments nor tests, as FILE:LINE:TEXT. The sources are formatted
# by rustfmt, so that an item under #[cfg(test)] ends with the first line at its own depth that closes it.
code() {
  # shellcheck disable=SC2016 # the dollar signs are awk's
  find "$1/src" -name '*.rs' ! -name tests.rs ! -path '*/tests/*' -print0 | sort --zero-terminated |
    xargs --null --no-run-if-empty awk '
      FNR == 1 { in_test = 0 }
      /^ *#\[cfg\((test|all\(test.*)\)\]$/ { in_test = 1; match($0, /^ */); indent = RLENGTH; next }
      in_test  { match($0, /^ */); if (RLENGTH == indent && $0 ~ /[;}]$/) in_test = 0; next }
      /^ *\/\// { next }
      { print FILENAME ":" FNR ":" $0 }
    '
}

# forbid_code DIRECTORY "what is wrong" PATTERN: reports each line of code that matches.
forbid_code() {
  # shellcheck disable=SC2016 # the dollar signs are awk's
  local directory=$1 complaint=$2 pattern=$3 found
  found=$(code "$directory" | grep --extended-regexp -- "^[^:]+:[0-9]+:.*($pattern)" || true)
  if [ -n "$found" ]; then
    echo "$complaint:"
    echo "$found"
    violations=$((violations + 1))
  fi
}

# forbid_upward DIRECTORY LAYER…: reports each module that imports from one above it, and modules without a
# layer. The layers are modules, lowest first; a layer stands for all modules below it that are not named themselves.
forbid_upward() {
  # shellcheck disable=SC2016 # the dollar signs are awk's
  local directory=$1 found
  shift
  found=$(code "$directory" | awk -v root="$directory/src/" -v layers="$*" '
    # The position of the most specific layer of a module; 0 if there is none.
    function place(module) {
      while (module != "") {
        if (module in places) return places[module]
        if (!sub(/::[^:]*$/, "", module)) return 0
      }
      return 0
    }
    BEGIN { count = split(layers, names, " "); for (i = 1; i <= count; i++) places[names[i]] = i }
    {
      file = $0
      sub(/:[0-9]+:.*/, "", file)
      text = substr($0, length(file) + 2)
      module = substr(file, length(root) + 1)
      if (module ~ /^(lib|main)\.rs$/ || module ~ /^testing\//) next
      gsub(/\/mod\.rs$|\.rs$/, "", module)
      gsub(/\//, "::", module)
      own = place(module)
      if (!own && !(module in seen)) { seen[module] = 1; print module " has no layer" }
      # Expands crate::{a, b::C} to crate::a crate::b::C.
      if (match(text, /crate::\{[^}]*/)) {
        list = substr(text, RSTART + 8, RLENGTH - 8)
        gsub(/ *, */, " crate::", list)
        text = "crate::" list
      }
      while (match(text, /crate::[a-z_][a-z_:]*/)) {
        target = substr(text, RSTART + 7, RLENGTH - 7)
        text = substr(text, RSTART + RLENGTH)
        sub(/:+$/, "", target)
        if (place(target) > own) print file ": imports " target " from above"
      }
    }
  ')
  if [ -n "$found" ]; then
    echo "modules of $directory must not import from modules above them:"
    echo "$found"
    violations=$((violations + 1))
  fi
}

check() {
  violations=0
  local all direct
  all=$(dependencies camofleet-api --edges normal,build)
  forbid api "$all" actix actix-rt actix-web actix-http awc tokio nix camofleet-actors camofleet-web camofleet
  forbid_upward api lenient time ids view destination machine identity proxy egress profile session facts health history fields identity_request request cookie \
    profile_request event error
  all=$(dependencies camofleet-actors --edges normal,build)
  forbid actors "$all" actix-web actix-web-actors clap config dotenvy env_logger camofleet-web camofleet
  direct=$(dependencies camofleet-actors --edges all --depth 1)
  forbid actors "$direct" actix-http actix-server

  forbid_upward actors model metrics process supervision net host identities display driver egress launch profiles session worker remote \
    views fleet probe

  direct=$(dependencies camofleet-web --edges normal,build --depth 1)
  forbid web "$direct" awc config dotenvy clap env_logger nix camofleet
  forbid_code web "web must not start processes" 'tokio::process|std::process::Command|Command::new'
  forbid_code web "web must not hold a Mutex; state belongs to an actor" '\bMutex\b'

  forbid_upward web error settings request incoming body presenter feed state headers auth gate documents::refusals \
    routes documents viewer upgrade app server

  direct=$(dependencies camofleet --edges normal,build --depth 1)
  forbid fleet "$direct" actix-web actix-web-actors actix-http awc
  forbid_code fleet "fleet must not have handlers" '\bactix_(web|http)\b'

  if [ "$violations" -gt 0 ]; then
    echo "$violations violations of fleet → web → actors → api"
    return 1
  fi
}

# A workspace of empty crates with the same names and directions, for the self-test.
fixture() {
  local root=$1 stub
  mkdir -p "$root"
  echo '[workspace]
resolver = "3"
members = ["api", "actors", "web", "fleet", "stubs/*"]' >"$root/Cargo.toml"
  for stub in actix-web actix-http awc clap; do
    fixture_crate "$root/stubs/$stub" "$stub"
  done
  fixture_crate "$root/api" camofleet-api
  fixture_crate "$root/actors" camofleet-actors 'camofleet-api = { path = "../api" }
awc = { path = "../stubs/awc" }'
  fixture_crate "$root/web" camofleet-web 'camofleet-actors = { path = "../actors" }
actix-web = { path = "../stubs/actix-web" }'
  fixture_crate "$root/fleet" camofleet 'camofleet-web = { path = "../web" }
clap = { path = "../stubs/clap" }'
}

fixture_crate() {
  local directory=$1 name=$2 dependencies=${3:-}
  mkdir -p "$directory/src"
  printf '[package]\nname = "%s"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n%s\n' \
    "$name" "$dependencies" >"$directory/Cargo.toml"
  : >"$directory/src/lib.rs"
}

# expect OUTCOME "case" COMMAND: runs COMMAND in a fresh fixture, then the check, which must print OUTCOME ("": succeed).
expect() {
  local expected=$1 case=$2 output status=0
  shift 2
  rm -rf "${scratch:?}/workspace"
  fixture "$scratch/workspace"
  (cd "$scratch/workspace" && "$@" && cargo generate-lockfile --offline --quiet)
  output=$("$script" "$scratch/workspace" 2>&1) || status=$?
  if [ -z "$expected" ] && [ "$status" -eq 0 ]; then return; fi
  if [ -n "$expected" ] && [ "$status" -eq 1 ] && grep --quiet --fixed-strings -- "$expected" <<<"$output"; then return; fi
  printf 'self-test "%s": expected "%s", got status %d and:\n%s\n' "$case" "$expected" "$status" "$output"
  broken=$((broken + 1))
}

depend() { echo "$2 = { path = \"../stubs/$2\" }" >>"$1/Cargo.toml"; }
write() { printf '%s\n' "$2" >"$1/src/lib.rs"; }
write_module() { mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" >"$1"; }

self_test() {
  broken=0
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  expect "" "nothing wrong" true
  expect "api must not depend on awc" "client in api" depend api awc
  expect "actors must not depend on actix-web" "server in actors" depend actors actix-web
  expect "actors must not depend on clap" "command line in actors" depend actors clap
  expect "actors must not depend on actix-http" "codec in actors" depend actors actix-http
  expect "web must not depend on awc" "client in web" depend web awc
  expect "fleet must not depend on actix-web" "server in fleet" depend fleet actix-web
  expect "web must not start processes" "process in web" write web 'use tokio::process::Command;'
  expect "web must not hold a Mutex" "mutex in web" write web 'use std::sync::Mutex;'
  expect "fleet must not have handlers" "handler in fleet" write fleet 'use actix_web::get;'
  expect "" "mutex in a comment" write web '/// Not a Mutex.'
  expect "" "mutex in tests" write web $'#[cfg(test)]\nmod tests {\n    use std::sync::Mutex;\n}'
  expect "web must not hold a Mutex" "mutex below a test item" write web $'#[cfg(test)]\nmod tests;\nuse std::sync::Mutex;'
  expect "imports session::actor from above" "upward import" \
    write_module actors/src/model/error.rs 'use crate::session::actor::Session;'
  expect "imports fleet::g from above" "upward path" write_module actors/src/model/mod.rs 'fn f() { crate::fleet::g(); }'
  expect "imports session from above" "upward import in a list" \
    write_module actors/src/net/tls.rs 'use crate::{model::error, session};'
  expect "" "downward import" write_module actors/src/session/mod.rs 'use crate::model::error::Error;'
  expect "imports routes::open from above" "upward from a nested layer" \
    write_module web/src/documents/refusals.rs 'use crate::routes::open;'
  expect "" "downward to a nested layer" write_module web/src/routes/mod.rs 'use crate::documents::refusals::X;'
  expect "odds has no layer" "module without a layer" write_module actors/src/odds.rs 'fn f() {}'
  [ "$broken" -eq 0 ]
}

if [ "${1:-}" = --self-test ]; then
  self_test
else
  cd "${1:-$(dirname "$script")/..}"
  check
fi
