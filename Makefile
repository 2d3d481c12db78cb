# Only delegates: to each component's own Makefile, to the runner and to the scripts in ci/.
# The slowest to set up come first, because two run at a time.
COMPONENTS := ml-pipeline backend monitoring model-service infra/plant-simulator infra/local infra/checks
RUNNER := $(MAKE) --no-print-directory -C infra/local

.DEFAULT_GOAL := help
.PHONY: help check test verify test-twofold demo loop bench report load reproduce model-image compose-up compose-test compose-down lock clean $(COMPONENTS) tests

help:  ## this list
	@awk -F ':.*## ' '/^[a-z][a-zA-Z_-]*:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n  make COMPONENT          check and test one component: %s\n' '$(COMPONENTS)'
	@printf '  make -C COMPONENT help  what a component can do by itself\n\n  demo settings: infra/local/README.md\n'

demo:  ## the whole product on this machine until Ctrl-C; HEADLESS=1 HEATS=200 plays to completion and proves it
	@$(RUNNER) run

loop:  ## the loop in one command, headless: a lot, a new practice, a bad candidate, a rollback; or SCENARIO=price, aim, spectrometer, ...
	@$(RUNNER) loop SCENARIO="$(SCENARIO)"

test:  ## on a fresh machine: every component's checks and tests, then contract and system tests of the whole
	@$(RUNNER) doctor
	@ci/each 2 "check test" $(COMPONENTS) -- 1 "check test" tests

verify:  ## what is slow: every endpoint fuzzed, browser, kill -9 under load, a lake in a store, a whole demo, a short load run, a model reproduced and its image, the product in containers, the lifecycles
	@$(RUNNER) doctor
	@ci/each 1 verify infra/local -- 1 fuzz backend -- 1 browser tests -- 1 chaos tests -- 1 store tests -- 1 load-run tests -- 1 release tests -- 1 compose tests -- 1 twofold tests

test-twofold:  ## the proof that software and models are released apart
	@$(MAKE) --no-print-directory -C tests twofold

check:  ## format, lint, types and imports of everything
	@ci/each 2 check $(COMPONENTS) tests

$(COMPONENTS) tests:
	$(MAKE) -C $@ check test

bench:  ## measure against the bars: all, or ONLY=simulator; tables here, rows in build/bench
	@$(MAKE) --no-print-directory -C tests bench ONLY="$(ONLY)"

report:  ## docs/model again, or ONLY=detection docs/detection, from the last bench of the policy or of detection
	@$(MAKE) --no-print-directory -C tests report ONLY="$(ONLY)"

reproduce:  ## MODEL_VERSION=n: build a registered model again from its record, compare byte for byte
	@$(MAKE) --no-print-directory -C ml-pipeline reproduce MODEL_VERSION="$(MODEL_VERSION)"

model-image:  ## MODEL_VERSION=n [BASE_IMAGE=...]: build, verify and record the Model Image of a released model
	@$(MAKE) --no-print-directory -C ml-pipeline model-image MODEL_VERSION="$(MODEL_VERSION)" BASE_IMAGE="$(BASE_IMAGE)"

compose-up:  ## the whole product with Docker Compose, from an empty engine
	@infra/compose/up

compose-test:  ## system tests against what compose-up brought up; models deployed and rolled back under load
	@COMPOSE_DIR="$(abspath $(or $(COMPOSE_DIR),build/compose))" $(MAKE) --no-print-directory -C tests compose

compose-down:  ## stop it; DELETE=1 removes its data too
	@infra/compose/down

load:  ## Locust against a running demo for 30 s: whole heats, and the model service directly
	@$(MAKE) --no-print-directory -C tests load

lock:  ## resolve every component's lock again
	@ci/each 1 lock $(COMPONENTS) tests

clean:  ## remove environments, caches and demo data
	@ci/each 2 clean $(COMPONENTS) tests
	rm -rf build .tools .tools.lock
