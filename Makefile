# The commands of this checkout. Each installs what it needs, and is quick if nothing has changed.
#
#   make run            install what is missing, build, start camofleet on 127.0.0.1:9000 (ARGS="--port 9001" and the like)
#                       TOKEN=1 creates an access token first, like make token
#   make token          writes access tokens to .env, which camofleet and compose read, and prints the clients' token
#   make build          the same without starting: builds target/release/camofleet
#   make dev            starts backend and panel, which are rebuilt and reloaded at every change, until Ctrl-C
#   make check          what to run before a commit: quick lints and tests of what has changed
#   make test           every test of every language, without optimisation; SUITES="rust driver" only these
#   make test-deploy    only the tests of the Helm chart and everything else in deploy/
#   make lint           formatting, lints, types, and the direction of dependencies
#   make images         the container images of all targets, and their sizes; CAMOUFOX=none builds them without Camoufox
#   make test-containers    builds the images, and tests compose.yaml with them in each of its shapes
#   make docs           the documentation as a site, in target/docs; make docs-serve serves it with live reload
#   make screenshots    target/screenshots: every page of the panel; make docs-screenshots: the four in docs/screenshots
#   make geoip          the city database for checks of proxies, 64 MB: IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0
#   make k8s-manifests  deploy/k8s from the Helm chart
#   make sbom           software bills of materials, as CycloneDX JSON in target/sbom

SHELL := /bin/bash
.DEFAULT_GOAL := build

# The documented path of the binary must not depend on the caller's environment.
export CARGO_TARGET_DIR := $(CURDIR)/target
BINARY := $(CARGO_TARGET_DIR)/release/camofleet

.PHONY: setup setup-tests setup-docs build run token dev check test test-deploy lint images test-containers docs docs-serve screenshots docs-screenshots geoip k8s-manifests settings-docs api-docs sbom clean

setup:
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests

setup-docs:
	@scripts/setup.sh --docs

build: setup
	@scripts/build.sh

run: build $(if $(TOKEN),token)
	@exec "$(BINARY)" serve $(ARGS)

# Creates the access tokens that are missing in .env, and prints the clients' token.
token:
	@scripts/token.sh

# Started by exec, so that Ctrl-C reaches it and not only the shell in between.
dev:
	@exec scripts/dev.sh $(ARGS)

check: setup-tests
	@exec scripts/check.sh

test: setup-tests
	@exec scripts/test.sh $(SUITES)

test-deploy: setup-tests
	@exec scripts/test.sh deploy

lint: setup-tests
	@scripts/lint.sh

images:
	@scripts/images.sh

test-containers: setup-tests
	@scripts/test-containers.sh

# Builds the documentation as a site, and checks its links.
docs: setup-docs
	@npm --prefix docs run --silent build
	@echo "$(CARGO_TARGET_DIR)/docs/index.html"

docs-serve: setup-docs
	@npm --prefix docs run --silent serve

# Screenshots of a real fleet with real browsers: every page of the panel in every size, and those of the documentation.
screenshots: setup-tests
	@scripts/build.sh --tests
	@cd fleet/tests/e2e && SCREENSHOTS=all node --test --test-timeout=300000 panel-pages.test.mjs
	@echo "$(CARGO_TARGET_DIR)/screenshots"

docs-screenshots: setup-tests
	@scripts/build.sh --tests
	@cd fleet/tests/e2e && SCREENSHOTS=docs node --test --test-timeout=300000 panel-pages.test.mjs

geoip:
	@scripts/setup.sh --geoip

# Generates deploy/k8s from the Helm chart.
k8s-manifests: setup-tests
	@deploy/tests/.venv/bin/python -B deploy/tests/generate.py

# Generates docs/configuration.md, its Russian page, .env.example and config/default.toml from the settings' definitions.
settings-docs: setup
	@scripts/build.sh --frontend
	@UPDATE_SETTINGS_DOCS=1 cargo test --quiet --locked --package camofleet settings::documents

# Generates frontend/openapi.json, the document of the role control, from its handlers, and from that the panel's types and
# the pages of the API in docs.
api-docs: setup-tests
	@scripts/build.sh --frontend
	@UPDATE_OPENAPI=1 cargo test --quiet --locked --package camofleet-web --test openapi the_file_that_the_panel
	@npm --prefix frontend run --silent api-types
	@npm --prefix docs run --silent api

# Writes the bills of materials of the binary, the driver and the panel to target/sbom.
sbom:
	@scripts/sbom.sh

clean:
	@rm -rf target frontend/dist
