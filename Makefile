# The commands of this checkout. Each sets up what it needs; all are quick when nothing is left to do.
#
#   make run            install what is missing, build, start camofleet on 127.0.0.1:9000 (ARGS="--port 9001" and the like)
#                       TOKEN=1 makes an access token first, as make token does
#   make token          writes access tokens into .env, which camofleet and compose read, and prints the one for clients
#   make build          the same without starting: leaves target/release/camofleet
#   make dev            starts backend and panel, which are rebuilt and reloaded at every change, until Ctrl-C
#   make check          what to run before a commit: quick lints and tests of what has changed
#   make test           every test of every language, without optimisation; SUITES="rust driver" only these
#   make test-deploy    of these, the tests of the Helm chart and all else in deploy/
#   make lint           formatting, lints, types, and the direction of dependencies
#   make images         the container images of all targets, and the size of each; CAMOUFOX=none does without Camoufox
#   make test-containers    builds them, and tries compose.yaml with them in each of its shapes
#   make docs           the documentation as a site, in target/docs; make docs-serve shows it while it is written
#   make screenshots    target/screenshots: every page of the panel; make docs-screenshots: the four in docs/screenshots
#   make k8s-manifests  deploy/k8s from the Helm chart
#   make sbom           what camofleet is made of, as CycloneDX JSON in target/sbom

SHELL := /bin/bash
.DEFAULT_GOAL := build

# The binary has a promised place, whatever the caller's environment says.
export CARGO_TARGET_DIR := $(CURDIR)/target
BINARY := $(CARGO_TARGET_DIR)/release/camofleet

.PHONY: setup setup-tests build run token dev check test test-deploy lint images test-containers docs docs-serve screenshots docs-screenshots k8s-manifests settings-docs api-docs sbom clean

setup:
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests

build: setup
	@scripts/build.sh

run: build $(if $(TOKEN),token)
	@exec "$(BINARY)" serve $(ARGS)

# Makes the access tokens that .env lacks, and prints the one for clients.
token:
	@scripts/token.sh

# Started by exec, so that Ctrl-C ends it and not only the shell in between.
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

# The documentation as a site, with its links checked.
docs: setup-tests
	@npm --prefix docs run --silent build
	@echo "$(CARGO_TARGET_DIR)/docs/index.html"

docs-serve: setup-tests
	@npm --prefix docs run --silent serve

# Pictures of a real fleet with real browsers: every page of the panel in every size, and those that the documents show.
screenshots: setup-tests
	@scripts/build.sh --tests
	@cd fleet/tests/e2e && SCREENSHOTS=all node --test --test-timeout=300000 panel-pages.test.mjs
	@echo "$(CARGO_TARGET_DIR)/screenshots"

docs-screenshots: setup-tests
	@scripts/build.sh --tests
	@cd fleet/tests/e2e && SCREENSHOTS=docs node --test --test-timeout=300000 panel-pages.test.mjs

# Writes deploy/k8s, which is made from the Helm chart.
k8s-manifests: setup-tests
	@deploy/tests/.venv/bin/python -B deploy/tests/generate.py

# Writes docs/configuration.md, its Russian page, .env.example and config/default.toml from the settings' definitions.
settings-docs: setup
	@scripts/build.sh --frontend
	@UPDATE_SETTINGS_DOCS=1 cargo test --quiet --locked --package camofleet settings::documents

# Writes frontend/openapi.json, the document of the role control, from its handlers, and from it the panel's types and the
# pages of the API in docs.
api-docs: setup-tests
	@scripts/build.sh --frontend
	@UPDATE_OPENAPI=1 cargo test --quiet --locked --package camofleet-web --test openapi the_file_that_the_panel
	@npm --prefix frontend run --silent api-types
	@npm --prefix docs run --silent api

# Writes target/sbom: what the binary, the driver and the panel are made of.
sbom:
	@scripts/sbom.sh

clean:
	@rm -rf target frontend/dist
