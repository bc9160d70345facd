# Every target sets up what it needs: Python 3.11 or newer and make are enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test lint types imports unit contracts e2e integration bench completions clean

help:  ## what can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "campaignctl needs Python 3.11 or newer with its venv module (python3 -m venv)"; exit 1; }
	@echo "==> setting up $(VENV) with $(PYTHON) (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,dashboard,servers,dev]'
	@touch $@

demo: $(READY)  ## from nothing to live insights on this machine, checked against the truth
	@$(BIN)/campaignctl demo $(ARGS)

test: lint types imports unit contracts e2e  ## everything that needs no server
	@echo "==> all checks passed"

lint: $(READY)  ## style
	@echo "==> lint" && $(BIN)/ruff check . && $(BIN)/ruff format --check -q . || { echo "run: $(BIN)/ruff format . && $(BIN)/ruff check --fix ."; exit 1; }

types: $(READY)  ## mypy --strict on the product
	@echo "==> types" && $(BIN)/mypy

imports: $(READY)  ## which way imports point
	@echo "==> imports" && $(BIN)/lint-imports

unit: $(READY)  ## rules and services, in memory
	@echo "==> unit tests" && $(BIN)/python -m pytest -q -n $(JOBS) tests/unit

contracts: $(READY)  ## each port's contract, on every adapter that can be reached
	@echo "==> port contracts" && $(BIN)/python -m pytest -q -n $(JOBS) tests/contracts

e2e: $(READY)  ## the whole thread on embedded stores
	@echo "==> end to end" && $(BIN)/python -m pytest -q -n $(JOBS) tests/e2e tests/integration tests/tui

# tests/contracts/test_kafka.py depends on a broker's own time limits, so it has the machine for itself, afterwards.
integration: $(READY)  ## contracts and whole event files on the servers that CA_TEST_... variables name
	@test -n "$$CA_TEST_KAFKA_BROKERS$$CA_TEST_CLICKHOUSE_HOST$$CA_TEST_POSTGRES_HOST$$CA_TEST_REDIS_ADDR" || { \
	echo "name servers first: CA_TEST_KAFKA_BROKERS, CA_TEST_CLICKHOUSE_HOST, CA_TEST_POSTGRES_HOST, CA_TEST_REDIS_ADDR (see CONTRIBUTING.md)"; exit 1; }
	@echo "==> on servers" && $(BIN)/python -m pytest -q -n $(JOBS) --ignore tests/contracts/test_kafka.py tests/contracts tests/integration \
	tests/unit/test_postgresql_metadata.py tests/unit/test_clickhouse_server.py tests/unit/test_redis_cache.py tests/unit/test_kafka_event_log.py
	@if [ -n "$$CA_TEST_KAFKA_BROKERS" ]; then echo "==> on Kafka alone" && $(BIN)/python -m pytest -q tests/contracts/test_kafka.py; fi

bench: $(READY)  ## how fast it is, beside the plainest loop, in ratios
	@$(BIN)/python -m tests.bench $(ARGS)

completions: $(READY)  ## write the completion scripts again
	@for s in bash zsh fish; do case $$s in bash) f=campaignctl.bash;; zsh) f=_campaignctl;; fish) f=campaignctl.fish;; esac; \
	$(BIN)/campaignctl completions $$s > completions/$$f; done

clean:  ## forget the environment and every cache
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
