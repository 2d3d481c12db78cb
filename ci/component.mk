# What every component's Makefile shares: its own environment, `check`, `test` and `lock`.
# A component may set LOCAL (other folders installed beside it), SELF (what of its own is installed) and IMPORTS (how imports
# are checked), then includes this file.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
LOCAL ?=
SELF ?= .
IMPORTS ?= $(BIN)/lint-imports --no-cache
VENV := .venv
BIN := $(VENV)/bin
UV := $(ROOT)/.tools/bin/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: venv check test run lock format clean help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z][a-zA-Z_-]*:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/.ready  ## make this component's environment from its hashed lock
	@:

$(VENV)/.ready: requirements-dev.lock pyproject.toml $(ROOT)/ci/make-venv $(LOCAL:%=%/pyproject.toml)
	$(ROOT)/ci/make-venv $(VENV) requirements-dev.lock $(SELF) $(LOCAL)

check: venv  ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(IMPORTS)

test: venv  ## unit and contract tests of this component; with CI=true a skip is a failure
	PYTHONPATH=$(ROOT)/ci $(BIN)/pytest -p pytest_no_skips $(PYTEST_ARGS)

format: venv  ## write the format, mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(UV)  ## resolve again; existing pins are kept where they still fit
	$(COMPILE) pyproject.toml --output-file requirements.lock $(LOCK_ARGS)
	$(COMPILE) pyproject.toml --extra dev --constraint requirements.lock --output-file requirements-dev.lock $(LOCK_ARGS)

$(UV):
	$(ROOT)/ci/make-venv $(ROOT)/.tools

clean:  ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist
