# The project's habits, one word each. `make` alone prints them.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Tests start many processes of one code: an environment that forbids to keep what is compiled makes each of them compile all of it.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo demo-kafka test browser quick check format bench trips soak brokers images lock clean

help: ## print these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1 \t\2/' | expand -t 16

setup: $(READY) ## make .venv with the locked dependencies and kvitt itself

$(READY): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

demo: $(READY) ## run the whole hub on made-up cases and print what happened
	$(BIN)/kvitt demo

demo-kafka: $(READY) ## run the demo over a real Kafka and a real Artemis (needs Java 17 and, once, Maven)
	$(BIN)/python -m brokers demo

# Tests wait for other processes now and then, so more run at a time than a small machine has processors; the files that take longest begin first.
PYTEST := $(BIN)/python -m pytest -q -rs --dist loadfile --no-loadscope-reorder

test: $(READY) .venv/.compiled ## run all tests that need no browser, file by file in several processes
	$(PYTEST) -n $${KVITT_TEST_PROCESSES:-5} --durations=15 tests/acceptance tests/integration tests/property tests/unit

browser: $(READY) ## try the console in a real browser (needs Chromium)
	$(PYTEST) -n $${KVITT_TEST_PROCESSES:-3} tests/browser

# Each of the processes would compile all tests when none of them is compiled yet; so two compile one half each before.
.venv/.compiled: $(READY)
	@$(BIN)/python -m pytest -q --collect-only tests/integration >/dev/null & \
	$(BIN)/python -m pytest -q --collect-only tests/acceptance tests/property tests/unit >/dev/null; wait
	@touch $@

quick: $(READY) ## run what tells most within a minute: units, properties with few examples, and one message all the way
	@# These seldom wait for others: a process more would only import and start a server once more.
	KVITT_EXAMPLES=$${KVITT_EXAMPLES:-5} $(PYTEST) -n $${KVITT_TEST_PROCESSES:-2} tests/acceptance/test_cli.py::test_submit_starts_a_hub_for_the_while tests/property tests/unit

check: $(READY) ## format, lint, types, import contracts, dead code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src bench brokers
	$(BIN)/lint-imports
	@# Fields of values are read by encoders, which a search for names can't see; only functions, classes and imports count as dead.
	@found=$$($(BIN)/vulture src tests $(wildcard bench)); status=$$?; [ $$status -eq 0 ] || [ $$status -eq 3 ] || exit $$status; \
	dead=$$(echo "$$found" | grep -vE '^$$|unused (variable|attribute) '); [ -z "$$dead" ] || { echo "$$dead"; exit 1; }

format: $(READY) ## put all files in the one format and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## run the benchmarks, print their figures and write them to bench/results.md
	$(BIN)/python -m bench --table bench/results.md

trips: $(READY) ## count the rooms and files that a message, a receipt, a payout and a hold pass through
	$(BIN)/python -m bench.trips

soak: export KVITT_TEST_DIRECTORY ?= /tmp
soak: export KVITT_SOAK_PAUSE_SECONDS ?= 0
soak: $(READY) ## kill the hub under load for KVITT_SOAK_SECONDS (3600), embedded, its workers, over brokers and in the ledger, and count what was lost
	KVITT_SOAK_RESUMES_SECONDS=$${KVITT_SOAK_RESUMES_SECONDS:-5} KVITT_KILLS=$${KVITT_KILLS:-1000000} KVITT_SOAK_SECONDS=$${KVITT_SOAK_SECONDS:-3600} $(BIN)/python -m pytest -q -s tests/acceptance/test_survives_kills.py
	KVITT_KILLS=$${KVITT_KILLS:-1000000} KVITT_SOAK_SECONDS=$${KVITT_SOAK_SECONDS:-3600} $(BIN)/python -m pytest -q -s tests/acceptance/test_survives_workers.py
	KVITT_BROKER_KILLS=$${KVITT_BROKER_KILLS:-1000000} KVITT_SOAK_SECONDS=$${KVITT_SOAK_SECONDS:-3600} \
	KVITT_BROKER_DOWN_SECONDS=$${KVITT_BROKER_DOWN_SECONDS:-60} KVITT_BROKER_BEHIND=$${KVITT_BROKER_BEHIND:-100000} KVITT_BROKER_EXAMPLES=$${KVITT_BROKER_EXAMPLES:-100} \
		$(BIN)/python -m pytest -q -s tests/acceptance/test_survives_brokers.py tests/acceptance/test_survives_brokers_histories.py
	KVITT_CIRCLE=$${KVITT_CIRCLE:-40000} KVITT_CIRCLE_KILLS=$${KVITT_CIRCLE_KILLS:-200} $(BIN)/python -m pytest -q -s tests/acceptance/test_ledger_circle.py

brokers: $(READY) ## run a real Kafka and a real ActiveMQ Artemis until Ctrl-C (needs Java 17 and, once, Maven)
	$(BIN)/python -m brokers

images: $(READY) ## take the images of the console's pages anew, for docs/console.md (needs Chromium)
	KVITT_TEST_IMAGES=$(CURDIR)/docs/images/console $(BIN)/python -m pytest -q tests/browser/test_console_images.py

lock: ## write requirements.txt anew from pyproject.toml
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet pip-tools
	build/lock/bin/pip-compile --quiet --generate-hashes --extra dev --all-build-deps --allow-unsafe --strip-extras \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header -o requirements.txt pyproject.toml

clean: ## remove what was built
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
