# Every target sets up what it needs: Python 3.11 or newer and make are enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One more than the cores of a small machine: a test that waits for a process leaves its core to another.
JOBS ?= 3
# Each process begins with a stretch of its own, so that what a module shares is made once, and takes of others' in the end.
AT_ONCE := -n $(JOBS) --dist worksteal
# Targets that leave a core free for each other.
TOGETHER := $(MAKE) --no-print-directory --jobs $(if $(filter output-sync,$(.FEATURES)),--output-sync)
SERVICES := tests/services/services
SERVER_TESTS := $(addprefix tests/unit/test_,postgresql_metadata.py postgresql_connections.py clickhouse_server.py redis_cache.py \
	redis_places.py kafka_event_log.py)

.DEFAULT_GOAL := help
.PHONY: help demo test static lint types imports deploy-check deploy-render unit contracts e2e mutants services dev integration on-own-servers faults-on-own-servers on-servers faults-on-servers images chaos chaos-on-servers bench completions reference docs clean

help:  ## what can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "campaignctl needs Python 3.11 or newer with its venv module (python3 -m venv)"; exit 1; }
	@echo "==> setting up $(VENV) with $(PYTHON) (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,dashboard,servers,dev,docs]'
	@touch $@

demo: $(READY)  ## from nothing to live insights on this machine, checked against the truth
	@$(BIN)/campaignctl demo $(ARGS)

test: static unit contracts e2e  ## everything that needs no server
	@echo "==> all checks passed"

static: $(READY)
	@$(TOGETHER) lint types imports deploy-check

lint: $(READY)  ## style
	@echo "==> lint" && $(BIN)/ruff check . && $(BIN)/ruff format --check -q . || { echo "run: $(BIN)/ruff format . && $(BIN)/ruff check --fix ."; exit 1; }

types: $(READY)  ## mypy --strict on the product
	@echo "==> types" && $(BIN)/mypy

imports: $(READY)  ## which way imports point, and that each test module finds what it imports
	@echo "==> imports" && $(BIN)/lint-imports && $(BIN)/python -m tests.collected

deploy-check: $(READY)  ## what deploy/ holds, as far as it can be judged without running it
	@echo "==> deploy" && $(BIN)/hadolint deploy/docker/Dockerfile && $(BIN)/shellcheck .ci/run tests/services/services examples/*/*.sh \
	&& $(BIN)/zizmor --offline --no-progress --quiet .github/workflows \
	&& $(BIN)/python -m pytest -q tests/deploy

deploy-render: $(READY)  ## write the rendered Kubernetes manifests again; needs kustomize or kubectl
	@$(BIN)/python -m tests.deploy.render

unit: $(READY)  ## rules and services, in memory
	@echo "==> unit tests" && $(BIN)/python -m pytest -q $(AT_ONCE) tests/unit

contracts: $(READY)  ## each port's contract, on every adapter that can be reached
	@echo "==> port contracts" && $(BIN)/python -m pytest -q $(AT_ONCE) tests/contracts

e2e: $(READY)  ## the whole thread on embedded stores
	@echo "==> end to end" && $(BIN)/python -m pytest -q $(AT_ONCE) tests/e2e tests/integration tests/tui

mutants: $(READY)  ## put bugs into a copy, one at a time: each must be caught by its test (one: NAMES=utc_day)
	@echo "==> seeded bugs" && $(BIN)/python -m tests.mutants $(NAMES)

services:  ## start Kafka, ClickHouse, PostgreSQL and Redis on this machine (Docker Compose, or packages); they stay
	@$(SERVICES) up && echo "use them with campaignctl:  eval \"\$$($(SERVICES) env CA_)\"" \
	&& echo "with the tests:             eval \"\$$($(SERVICES) env)\"" && echo "stop them:                  $(SERVICES) down"

COMPOSE := docker compose -f deploy/compose/compose.yaml -f deploy/compose/ports.yaml --env-file deploy/compose/development.env
dev:  ## start the four stores in Docker for serve and work from this checkout; they stay (no Docker: make services)
	@docker compose version > /dev/null 2>&1 && docker info > /dev/null 2>&1 \
	|| { echo "no Docker engine with Compose answers; make services starts the same from packages"; exit 1; }
	@$(COMPOSE) up --detach --wait kafka clickhouse postgres redis
	@echo "now: set -a; . deploy/compose/development.env; . deploy/compose/checkout.env; set +a"
	@echo "     $(BIN)/campaignctl init-schema; $(BIN)/campaignctl serve & $(BIN)/campaignctl work"
	@echo "to stop them: $(COMPOSE) down"

# Servers that CA_TEST_... variables name, whichever they are; else all four of this machine's own, none of them skipped,
# and these twice: what freezes and kills servers, or waits for a broker's own time limits, goes one by one beside the rest.
NAMED := $(CA_TEST_KAFKA_BROKERS)$(CA_TEST_CLICKHOUSE_HOST)$(CA_TEST_POSTGRES_HOST)$(CA_TEST_REDIS_ADDR)
integration: $(READY)  ## contracts, faults and whole event files on real servers, started for it when none are named
	@$(if $(NAMED),$(MAKE) --no-print-directory on-servers faults-on-servers,$(TOGETHER) on-own-servers faults-on-own-servers)

on-own-servers:
	@CA_TEST_REQUIRE_SERVERS=1 $(SERVICES) run $(MAKE) --no-print-directory on-servers

faults-on-own-servers:
	@CA_TEST_REQUIRE_SERVERS=1 SERVICES_SET=faults $(SERVICES) run $(MAKE) --no-print-directory faults-on-servers

# What asks no server has run in make test and is left out.
on-servers:
	@echo "==> on servers" && $(BIN)/python -m pytest -q $(AT_ONCE) -m "not faults and not embedded" --ignore tests/contracts/test_kafka.py \
	tests/contracts tests/integration $(SERVER_TESTS)

faults-on-servers:
	@echo "==> on servers, one by one" && $(BIN)/python -m pytest -q tests/contracts/test_kafka.py
	@echo "==> faults" && $(BIN)/python -m pytest -q -m faults $(SERVER_TESTS) tests/integration

images: $(READY)  ## build every image without an engine and start it, on servers (root, buildah and debootstrap; minutes)
	@$(if $(NAMED),,CA_TEST_REQUIRE_SERVERS=1 $(SERVICES) run )$(BIN)/python -m tests.images $(ARGS)

# The full forms, two hours or so; short ones are among the tests above. A few kills: ARGS="--kills 1 --step in_insert"
chaos: $(READY)  ## kill, freeze, cut and move workers and servers under load, on embedded stores and on servers
	@$(BIN)/python -m tests.chaos.failpoints --log embedded $(ARGS)
	@$(if $(NAMED),,CA_TEST_REQUIRE_SERVERS=1 $(SERVICES) run )$(MAKE) --no-print-directory chaos-on-servers

chaos-on-servers:
	@$(BIN)/python -m tests.chaos.failpoints --log kafka --at-once 4 $(ARGS)
	@$(if $(ARGS),,$(BIN)/python -m tests.chaos.workers && $(BIN)/python -m tests.chaos.poison && $(BIN)/python -m tests.chaos.hot)

bench: $(READY)  ## how fast it is, beside the plainest loop, in ratios
	@$(BIN)/python -m tests.bench $(ARGS)

completions: $(READY)  ## write the completion scripts again
	@for s in bash zsh fish; do case $$s in bash) f=campaignctl.bash;; zsh) f=_campaignctl;; fish) f=campaignctl.fish;; esac; \
	$(BIN)/campaignctl completions $$s > completions/$$f; done

reference: $(READY)  ## write the pages that the program makes (docs/reference, man) again
	@$(BIN)/python -m tests.reference

docs: $(READY)  ## the site of docs/ into build/site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet && echo "build/site/index.html"

clean:  ## forget the environment and every cache
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
