#!/usr/bin/env bash
# Writes bills of materials to target/sbom, as CycloneDX JSON: of the binary, the Node driver and the panel, each with the
# dependencies that it ships, from the lock files. Tools for building and testing are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

readonly cargo_cyclonedx=0.5.9 cyclonedx_npm=6.0.1
tools=$PWD/target/tools
output=$PWD/target/sbom

install_tools() {
  local stamp=$tools/sbom-tools wanted="$cargo_cyclonedx $cyclonedx_npm"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  step "installing cargo-cyclonedx" \
    cargo install --quiet --locked --root "$tools" --version "$cargo_cyclonedx" cargo-cyclonedx
  # Its optional dependencies are for XML.
  step "installing cyclonedx-npm" \
    npm install --prefix "$tools" --omit optional --no-audit --no-fund --loglevel error "@cyclonedx/cyclonedx-npm@$cyclonedx_npm"
  echo "$wanted" >"$stamp"
}

# It writes a file beside each workspace member's manifest; the one of the binary contains all dependencies.
rust_sbom() {
  local name=sbom-of-camofleet status=0
  "$tools/bin/cargo-cyclonedx" cyclonedx --format json --spec-version 1.5 --no-build-deps \
    --target x86_64-unknown-linux-gnu --override-filename "$name" || status=$?
  # The path of the checkout does not belong in it.
  if [ "$status" -eq 0 ]; then sed "s|$PWD|.|g" "fleet/$name.json" >"$output/camofleet.cdx.json"; fi
  rm -f {api,actors,web,fleet}/"$name.json"
  return "$status"
}

# Not with `npm sbom --omit dev`, which also omits packages that both the application and a tool need, such as React.
npm_sbom() {
  local directory=$1 name=$2
  "$tools/node_modules/.bin/cyclonedx-npm" --package-lock-only --omit dev --spec-version 1.5 --mc-type application \
    --output-reproducible --output-format JSON --output-file "$output/$name.cdx.json" "$directory/package.json"
}

mkdir -p "$output" "$tools"
install_tools
step "components of the binary" rust_sbom
step "components of the driver" npm_sbom actors/driver camofleet-driver
step "components of the panel" npm_sbom frontend camofleet-panel
for file in "$output"/*.cdx.json; do
  node --print 'process.argv[1] + ": " + require(process.argv[1]).components.length + " components"' "$file"
done
