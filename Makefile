# The commands of this checkout. Each sets up what it needs; all are quick when nothing is left to do.
#
#   make run            install what is missing, build, start camofleet on 127.0.0.1:9000 (ARGS="--port 9001" and the like)
#                       TOKEN=1 makes an access token first, as make token does
#   make token          writes access tokens into .env, which camofleet and compose read, and prints the one for clients
#   make build          the same without starting: leaves target/release/camofleet
#   make test           every test of every language
#   make test-deploy    of these, the tests of the Helm chart and all else in deploy/
#   make lint           formatting, lints, types, and the direction of dependencies
#   make images         the container images of all targets, and the size of each; CAMOUFOX=none does without Camoufox
#   make test-containers    builds them, and tries compose.yaml with them in each of its shapes
#   make screenshots    docs/screenshots anew: every page of the panel
#   make k8s-manifests  deploy/k8s anew from the Helm chart, and the chart's copies of deploy/grafana
#   make sbom           what camofleet is made of, as CycloneDX JSON in target/sbom

SHELL := /bin/bash
.DEFAULT_GOAL := build

# The binary has a promised place, whatever the caller's environment says.
export CARGO_TARGET_DIR := $(CURDIR)/target
export CAMOFLEET_BIN := $(CARGO_TARGET_DIR)/release/camofleet

.PHONY: setup setup-tests build run token test test-deploy lint images test-containers screenshots k8s-manifests settings-docs api-docs sbom clean

setup:
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests

build: setup
	@scripts/build.sh

run: build $(if $(TOKEN),token)
	@exec "$(CAMOFLEET_BIN)" serve $(ARGS)

# Makes the access tokens that .env lacks, and prints the one for clients.
token:
	@scripts/token.sh

test: setup-tests
	@scripts/build.sh
	@scripts/test.sh

test-deploy: setup-tests
	@scripts/build.sh
	@scripts/test.sh deploy

lint: setup-tests
	@scripts/lint.sh

images:
	@scripts/images.sh

test-containers: setup-tests
	@scripts/test-containers.sh

# Writes docs/screenshots anew, of a real fleet with real browsers.
screenshots: setup-tests
	@scripts/build.sh
	@cd fleet/tests/e2e && SCREENSHOTS=1 node --test --test-timeout=300000 panel-pages.test.mjs

# Writes what is made of the Helm chart and of deploy/grafana.
k8s-manifests: setup-tests
	@deploy/tests/.venv/bin/python -B deploy/tests/generate.py

# Writes .env.example, config/default.toml and the tables of both READMEs anew from the settings' definitions.
settings-docs: setup
	@scripts/build.sh --frontend
	@UPDATE_SETTINGS_DOCS=1 cargo test --quiet --locked --package camofleet settings::documents

# Writes frontend/openapi.json anew, the document of the role control, from its handlers, and the panel's types from it.
api-docs: setup
	@scripts/build.sh --frontend
	@UPDATE_OPENAPI=1 cargo test --quiet --locked --package camofleet-web --test openapi the_file_that_the_panel
	@npm --prefix frontend run --silent api-types

# Writes target/sbom: what the binary, the driver and the panel are made of.
sbom:
	@scripts/sbom.sh

clean:
	@rm -rf target frontend/dist
