# The targets that people and CI use alike. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV_VERSION := 0.13.8
# The suite mostly waits, so three workers fill two cores; each starts servers of its own. On servers that are given there is one.
WORKERS ?= $(if $(DATABASE_URL)$(KAFKA_BOOTSTRAP_SERVERS),0,3)

.PHONY: help install demo up down test check bench torture docs fmt lock audit clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-9s %s\n", $$1, $$2}'

install: $(INSTALLED) ## make .venv from the lock file (again only when the lock or pyproject.toml changed)

# Hashes are required for everything that is downloaded; the project itself is built by the locked backend.
$(INSTALLED): requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make install PYTHON=python3.11")'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $(INSTALLED)

demo: install ## the main job from start to end: INPUT=FILE reads a real log, KEEP=1 leaves it running
	@$(BIN)/casestream demo $(if $(INPUT),--input "$(INPUT)") $(if $(filter 1,$(KEEP)),--keep)

up: install ## start the local PostgreSQL and Kafka (twice is harmless)
	@$(BIN)/casestream up

down: install ## stop the local stack; no process is left
	@$(BIN)/casestream down

test: install ## the suite: unit, integration, e2e, one round of every torture step
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: install ## lint, types, import boundaries, schemas, lock files, metadata, requirements
	$(BIN)/python -m checks

bench: install ## the measured comparisons, written to benchmarks/
	$(BIN)/python -m benchmarks $(ARGS)

torture: install ## the full counts of the crash tests, resumable step by step
	$(BIN)/python -m pytest -m torture -p no:randomly tests/torture $(ARGS)

docs: install ## write the generated pages: settings, requirements, schemas
	$(BIN)/python -m checks --write

fmt: install ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## compile both lock files anew from pyproject.toml (needs the network; UPGRADE=1 takes newer releases)
	@test -x .cache/uv/bin/uv || { $(PYTHON) -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	UV=.cache/uv/bin/uv UPGRADE=$(UPGRADE) $(PYTHON) -m checks.lock compile

audit: install ## known vulnerabilities of the locked versions (needs the network)
	$(BIN)/pip-audit --strict --requirement requirements-dev.lock --disable-pip --progress-spinner off

clean: ## remove what the tools leave (not .venv, not the stack's data)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
