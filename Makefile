# Every verb installs what it needs first: a clean clone, python3 and make are enough.
#   ARGS=…    passed on to the tool:             make test ARGS="-k outages -x"
#   PYTHON=…  the interpreter .venv is made of:  make setup PYTHON=python3.13

UV_VERSION := 0.13.9
BIN := .venv/bin
UV := $(BIN)/python -m uv
# The tests of a file stay together: they may share a service. Slow tests wait for processes, so five run at once
# whatever the number of cores; quick ones wait for nothing, and each process collects all of them first, which takes
# 10 s of a processor; those on Spark are three files, each with Java processes of its own. -n 0 turns that off.
TOGETHER := --dist loadfile --no-loadscope-reorder
AT_ONCE := -n 5 $(TOGETHER)
# Tests that need more than Python have verbs of their own.
ELSEWHERE := --ignore=tests/browser --ignore=tests/spark --ignore=tests/attacks
# What reads or writes dates as text. The kernel may not ask for a clock, and databases and services pass instants on.
ZONED := tests/golden tests/ingest tests/cli tests/unit tests/test_known_errors.py --ignore=tests/unit/kernel
CHROMIUM := /usr/bin/chromium
# The same without windows, as the tests use it: it takes half of the processor.
HEADLESS := /usr/bin/chromium-headless-shell
PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)

# Four stamps: .venv has uv of this version; what the program needs; all that its developers need; and Spark too, which
# is larger than all the rest.
TOOLS := .venv/.uv-$(UV_VERSION)
RUNTIME := .venv/.runtime
SYNCED := .venv/.synced
SPARK := .venv/.spark

# uv works on this .venv and this interpreter only, and trusts the certificates that the system trusts.
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON := $(BIN)/python
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS ?= true
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME
# Without compiled modules on disk each start of the command, of the service and of its workers takes 5 s, not 1.5 s.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup fmt lint test test-slow test-db test-browser test-spark test-zone test-attacks soak java bench bench-against bench-spark demo docs screenshots build check lock clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

setup: $(SYNCED) ## create .venv and install what uv.lock says

fmt: setup ## format the code and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup ## style, layers, types, words, container files, and a lock file that fits pyproject.toml
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/python docs/development/prose.py
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	$(UV) lock --check --quiet

test: setup ## run the quick tests, several at once (ARGS="-k outages -x"; ARGS="-n 0" for one after the other)
	TZ=UTC $(BIN)/pytest -n 2 $(TOGETHER) -p no:schemathesis --engines sqlite -m "not slow" $(ELSEWHERE) $(ARGS)

test-slow: setup ## run the tests that start services, kill processes, fill disks
	TZ=UTC $(BIN)/pytest $(AT_ONCE) --engines sqlite -m slow $(ELSEWHERE) $(ARGS)

test-spark: $(SPARK) java ## run the tests on Spark, on this machine's cores and on a cluster of two workers
	TZ=UTC $(BIN)/pytest -n 2 $(TOGETHER) --engines sqlite $(or $(ARGS),tests/spark)

test-db: setup ## run the tests of the database, of faults and a journey through the API on PostgreSQL and MariaDB
	TZ=UTC $(BIN)/pytest $(AT_ONCE) -p no:schemathesis --engines postgresql,mysql tests/database tests/api/test_journey.py tests/golden tests/faults $(ARGS)

test-browser: setup $(HEADLESS) ## run the tests of the pages in a real browser
	TZ=UTC $(BIN)/pytest $(AT_ONCE) tests/browser $(ARGS)

test-attacks: setup java ## attack the service: bombs, raw sockets, other HTTP clients, on SQLite and PostgreSQL
	TZ=UTC $(BIN)/pytest -n 0 --engines sqlite,postgresql tests/attacks $(ARGS)

test-zone: setup ## run the quick tests that read or write dates on a machine that lives in an odd time zone
	TZ=Australia/Lord_Howe HYPOTHESIS_PROFILE=again $(BIN)/pytest -n 2 $(TOGETHER) -p no:schemathesis --engines sqlite -m "not slow and not anywhere" $(or $(ARGS),$(ZONED))

soak: setup ## run random tests with a thousand examples each, and those that kill, with new seeds for an hour (ARGS="--minutes 10")
	TZ=UTC $(BIN)/python tests/soak.py $(AT_ONCE) $(ARGS)

bench: setup ## measure all that has a target: 20 minutes, 5 GB of disk (ARGS="kernel" for a section, ARGS=--help for all)
	$(BIN)/python -m bench $(ARGS)

bench-against: setup ## compare the whole commands with those of another commit (ARGS=106582c)
	$(BIN)/python -m bench.against $(ARGS)

bench-spark: $(SPARK) java ## measure Spark on this machine against one process: 3 GB of disk, an hour
	$(BIN)/python -m bench.spark $(ARGS)

demo: $(RUNTIME) ## see it work on a made-up fleet; installs only what the program needs
	@$(BIN)/uphours demo $(ARGS)

docs: setup ## draw the pictures of the documentation, and fill its tables with what was measured
	$(BIN)/python -m docs.draw
	$(BIN)/python -m docs.tables

screenshots: setup $(CHROMIUM) ## take the pictures of the pages for the documentation
	$(BIN)/python docs/screenshots.py

build: setup ## build the wheel and the source distribution into dist/
	$(UV) build --quiet

check: lint test test-slow test-db test-browser test-zone test-spark ## everything that CI runs

lock: $(TOOLS) ## bring uv.lock in line with pyproject.toml (ARGS=--upgrade for newer versions)
	env -u UV_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS $(UV) lock --default-index https://pypi.org/simple $(ARGS)

clean: ## remove .venv, caches and build products
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(CHROMIUM) $(HEADLESS):
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(notdir $@); \
	else \
		echo "this needs Chromium: apt install $(notdir $@) (Debian)" >&2; exit 1; \
	fi

# uv takes files from where uv.lock found them. Where only a mirror can be reached, pip knows it from its
# own configuration, and installs the same files: their hashes are checked.
define install
	@$(UV) sync --frozen $(1) $(2) --quiet || { \
		echo "uv sync failed; trying the same with pip and its configured index"; \
		$(UV) export --frozen $(1) --no-emit-project --quiet --output-file .venv/requirements.txt && \
		$(BIN)/python -m pip install --quiet --require-hashes --requirement .venv/requirements.txt && \
		$(BIN)/python -m pip install --quiet --no-deps --editable . ; }
	@touch $@
endef

# What developers need is left in place where it is there already.
$(RUNTIME): pyproject.toml uv.lock $(TOOLS)
	$(call install,--no-default-groups,--inexact)

$(SYNCED): pyproject.toml uv.lock $(TOOLS)
	$(call install,--all-groups --no-group spark)
	@touch $(RUNTIME)

$(SPARK): $(SYNCED)
	$(call install,--all-groups)

java:
	@found() { "$${JAVA_HOME:+$$JAVA_HOME/bin/}java" -version 2>&1 | grep -Eq 'version "(1[7-9]|[2-9][0-9])'; }; \
	found && exit 0; \
	if [ -n "$$CI" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && { apt-get install -qq -y openjdk-17-jdk-headless || apt-get install -qq -y default-jdk-headless; }; \
	fi; \
	found || { echo "Spark and the attack by Java's HTTP client need Java 17 or newer: install it (Debian, Ubuntu: apt install openjdk-17-jdk-headless)" >&2; exit 1; }

# A .venv that was moved or lost its interpreter is made again.
ifneq ($(shell test -x $(BIN)/python && cat $(TOOLS) 2>/dev/null),$(CURDIR))
.PHONY: $(TOOLS)
endif

$(TOOLS):
	@for python in $(PYTHONS); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		recent=$${recent:-$$python}; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
		"$$python" -m venv --clear .venv && \
		$(BIN)/python -m pip install --quiet uv==$(UV_VERSION) && \
		pwd -P > $@ && exit 0; \
		exit 1; \
	done; \
	if [ -n "$$recent" ]; then \
		echo "$$recent cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv)"; \
	else \
		echo "uphours needs Python 3.11 or newer, and none of these is: $(PYTHONS). Name one: make setup PYTHON=/path/to/python3"; \
	fi >&2; exit 1
