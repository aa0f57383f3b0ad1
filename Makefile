# Everything this project does, as targets; `make` lists them. Needs cargo with a C linker, python3 (3.10 or newer) and pip:
# the rest is installed from PyPI into ./.venv. `PYTHON=python3.13 make run` picks another interpreter.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000

VENV := .venv
BIN := $(VENV)/bin
PYPATH := $(abspath $(BIN)/python)
PINS := python/requirements-dev.txt
SUITE := .cache/conformance/venv
SUITE_PINS := python/conformance/requirements.txt

# The interpreter is part of the stamps' names: with another one nothing that was made for the first counts.
INTERPRETER := $(shell $(PYTHON) -c 'import sys, zlib; print("%d.%d.%d-%08x" % (*sys.version_info[:3], \
	zlib.crc32(sys.executable.encode())))' 2>/dev/null || echo unusable)
VENV_STAMP := $(VENV)/.made-by-$(INTERPRETER)
BUILD_STAMP := $(VENV)/.extension-$(INTERPRETER)
TEST_STAMP := $(VENV)/.test-tools-$(INTERPRETER)
SUITE_STAMP := $(SUITE)/.made-by-$(INTERPRETER)

RUST_SOURCES := $(shell find runtime native-handlers python/src -name target -prune -o -name tests -prune -o \
	\( -name '*.rs' -o -name Cargo.toml \) -print) python/build.rs python/Cargo.toml Cargo.toml Cargo.lock python/pyproject.toml

# Crates that are no members of the workspace. The plugins share a target directory, which compiles what they depend on
# once; the program needs its own, because it links another build of libhot, and cargo gives both the same file name.
EXAMPLE_CRATES := examples/hybrid/hot examples/shared-state/counters examples/database/notes examples/native-only
OUTSIDE_CRATES := $(EXAMPLE_CRATES) python/tests/fixtures/caller python/tests/fixtures/faulty python/tests/fixtures/twin \
	benches/micro/handlers benches/micro/attachment benches/load/actix benches/load/client benches/load/natives
cargo_in = cargo $(1) --quiet --target-dir $(if $(filter %/native-only,$(2)),target/examples,target/plugins) \
	--manifest-path $(2)/Cargo.toml

LOAD := PYTHONPATH=benches $(BIN)/python -m load
LOAD_OPTIONS := $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS))

# Most tests wait for a server half of the time. A file's tests stay together, because they share its servers.
SIDE_BY_SIDE := -n auto --dist loadfile

# Every Rust build looks at the same interpreter, whichever starts it.
export PYO3_PYTHON := $(PYPATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test conformance differential versions pythons freethreaded bench instructions bench-natives bench-peers bench-isolation bench-sleep bench-parallel bench-pg bench-tools soak autobahn docs-lanes check build examples test-tools rust-check python-check rust-test model-test python-test stub-test clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
		|| grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST)

run: build examples ## Build everything and serve examples/hybrid on HOST:PORT (127.0.0.1:8000)
	cd examples/hybrid && exec $(abspath $(BIN))/bimetal run main:app --host $(HOST) --port $(PORT)

test: check rust-test model-test stub-test python-test ## Run everything the project checks

# The suite has an environment of its own, and takes the package and the extension from ./python.
conformance: build $(SUITE_STAMP) ## Run FastAPI's own tests on applications served by Bimetal (JSON=report.json, TESTS=tests/test_x.py)
	PYTHONPATH=python $(SUITE)/bin/python -m pytest --quiet -p no:cacheprovider python/conformance/tests
	PYTHONPATH=python $(SUITE)/bin/python -m conformance $(if $(JSON),--json $(JSON)) $(TESTS)

# `CASES=500000 SEED=7` for a longer run by hand, `APPS="bodies:app layers:cors"` for some of the applications.
differential: build test-tools ## Send generated requests to applications on Bimetal and on uvicorn: the answers must be equal (CASES=20000, SEED=0)
	PYTHONPATH=python:python/tests $(BIN)/python -m pytest --quiet -p no:cacheprovider python/differential/tests
	PYTHONPATH=python:python/tests $(BIN)/python -m differential $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED)) $(APPS)

bench: $(if $(filter-out bridge,$(BENCH)),,build) ## Measure the parts of a request in process, each beside its rival (BENCH=router, dispatch, queue or bridge for one of them)
	$(if $(filter bridge,$(BENCH)),,cargo bench --package bimetal-micro $(if $(BENCH),--bench $(BENCH)))
	$(if $(filter-out bridge,$(BENCH)),,$(BIN)/python -m pip install --quiet -r benches/micro/requirements.txt && $(BIN)/python benches/micro/bridge.py)

# Needs Python 3.11 and valgrind (Debian: apt-get install valgrind).
instructions: ## Count instructions and allocations of the parts of a request, and compare with benches/micro/instructions.toml (WRITE=yes renews it)
	$(PYTHON) benches/micro/instructions.py $(if $(WRITE),--write)

# What a stranger reruns: wrk against the systems in turns, server and client on a core each. See docs/performance.md.
bench-natives: build bench-tools ## Native routes beside the same routes in actix-web alone, also with 200 routes registered (ROUNDS=5, WRITE=yes)
	$(LOAD) --systems 'actix-web;bimetal, native' --base actix-web $(LOAD_OPTIONS) $(if $(WRITE),--write docs/performance.md --section natives)
	$(LOAD) --systems 'actix-web;bimetal, native' --base actix-web $(LOAD_OPTIONS) --routes 196 \
		$(if $(WRITE),--write docs/performance.md --section natives-200)

FASTAPI_SERVERS := --systems 'bimetal;FastAPI + uvicorn;FastAPI + Granian' --works 'GET /health;POST /items;GET /a/health'

bench-peers: build bench-tools ## The same routes on other servers and frameworks, each in an environment of its own (ROUNDS=5, WRITE=yes)
	$(LOAD) $(LOAD_OPTIONS) $(if $(WRITE),--plot docs/performance.svg --write docs/performance.md --section peers)
	$(foreach around,http asgi wrapped,$(LOAD) $(LOAD_OPTIONS) $(FASTAPI_SERVERS) --around $(around) \
		$(if $(WRITE),--write docs/performance.md --section $(around)) &&) true

bench-isolation: build ## A probe at a fixed rate while Python computes, blocks or holds the GIL, beside other servers (ROUNDS=3, SECONDS=10, RATE=1000, WRITE=yes)
	PYTHONPATH=benches $(BIN)/python -m load.isolation $(LOAD_OPTIONS) $(if $(RATE),--rate $(RATE)) $(if $(WRITE),--write docs/performance.md)

# `SECONDS=6 SLEEP=1` for a quick look.
bench-sleep: build ## Handlers that sleep for 10 s on 100 and 1,000 connections, beside FastAPI under uvicorn (SECONDS=60, SLEEP=10, WRITE=yes)
	PYTHONPATH=benches $(BIN)/python -m load.sleep $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SLEEP),--sleep $(SLEEP)) \
		$(if $(WRITE),--write docs/performance.md)

# Needs PostgreSQL's server (Debian: apt-get install postgresql).
bench-pg: build test-tools ## PostgreSQL through bimetal.pg, asyncpg and psycopg, in turns (ROUNDS=5, SECONDS=4, WRITE=yes)
	$(BIN)/python -m pip install --quiet -r benches/pg/requirements.txt
	PYTHONPATH=benches:python/tests $(BIN)/python -m pg $(LOAD_OPTIONS) $(if $(WRITE),--write docs/performance.md)

# The short versions of these tests run in `make test`. `SOAK_TESTS=overload` for one of them.
SOAK_TESTS ?= soak soak_workers soak_memory slow_clients overload h2load

soak: build test-tools ## Millions of requests, thousands of connections, overload, a hundred killed workers: the long versions of the tests that need many (an hour)
	SOAK=long cargo test --release -p bimetal-runtime --test wakeups -- --nocapture
	SOAK=long $(BIN)/python -m pytest -s -p no:cacheprovider $(SOAK_TESTS:%=python/tests/test_%.py)

# The cases about the protocol run in `make test`. Needs a Python 2.7, on the path or of pyenv's.
autobahn: build test-tools ## All of the Autobahn test suite against the WebSockets (half an hour)
	SOAK=long $(BIN)/python -m pytest -s -rs -p no:cacheprovider python/tests/test_autobahn.py

docs-lanes: build ## Write the table of reasons into docs/guide/lanes.md
	PYTHONPATH=python $(BIN)/python python/tests/unit/lanes_page.py

# Each has its FastAPI from .cache/versions; the extension is the same.
versions: build test-tools $(SUITE_STAMP) ## Run tests and FastAPI's own on the other FastAPI releases that are compiled (VERSIONS="0.162.6 0.162.7", OWN=no leaves FastAPI's out)
	.ci/versions $(if $(filter no,$(OWN)),--without-suite) $(VERSIONS)

pythons: ## Build and run a part of the tests on every other CPython 3.10 to 3.14 of this machine
	PYTHON=$(PYTHON) .ci/pythons

# From a copy of the tree; see .ci/freethreaded for what differs there.
freethreaded: ## Build and run a part of the tests on a CPython without a GIL, where this machine has one
	.ci/freethreaded

bench-parallel: ## A `def` handler that computes, on a CPython without a GIL: one core beside two (ROUNDS=5, WRITE=yes)
	PYTHONPATH=$(abspath benches) .ci/freethreaded python -m load.parallel $(LOAD_OPTIONS) \
		$(if $(WRITE),--write $(abspath docs/performance.md))

check: rust-check python-check ## Formatting, lints and types, without running anything

build: $(BUILD_STAMP) ## Build the extension (release) and install the package into ./.venv

examples: ## Build the plugins and the program of the examples
	@# The host refuses a library that the group may write, which some users' umask would make it.
	umask 022; $(foreach crate,$(EXAMPLE_CRATES),$(call cargo_in,build --release,$(crate)) &&) true

rust-check: $(VENV_STAMP)
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	$(foreach crate,$(OUTSIDE_CRATES),cargo fmt --check --manifest-path $(crate)/Cargo.toml &&) true
	$(foreach crate,$(OUTSIDE_CRATES),$(call cargo_in,clippy --all-targets,$(crate)) -- -D warnings &&) true

python-check: build test-tools
	$(BIN)/ruff check --quiet python
	$(BIN)/ruff check --quiet --config python/pyproject.toml examples benches
	$(BIN)/ruff format --quiet --check python
	$(BIN)/ruff format --quiet --check --config python/pyproject.toml examples benches
	cd python && $(abspath $(BIN))/mypy

# The extension's own crate cannot link a test program, because its Python symbols come from the interpreter that loads
# it: the tests over sockets cover it.
rust-test: $(VENV_STAMP)
	cargo test --quiet --workspace --exclude bimetal-python
	$(foreach crate,$(EXAMPLE_CRATES),$(call cargo_in,test,$(crate)) &&) true

# The queues and the hand-over between runners, in every interleaving loom finds.
model-test:
	RUSTFLAGS='--cfg bimetal_loom' cargo --config profile.release.lto=false test --quiet -p bimetal-runtime --lib --release \
		--target-dir target/loom model

stub-test: build test-tools
	cd python && $(abspath $(BIN))/stubtest bimetal._core

python-test: build examples test-tools
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) python/tests

test-tools: $(TEST_STAMP)

bench-tools: $(VENV_STAMP)
	@command -v wrk >/dev/null || { echo "error: wrk is missing (Debian: apt-get install wrk)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet -r benches/load/requirements/plot.txt

clean: ## Remove everything that was built or installed here
	rm -rf $(VENV) target .cache .mypy_cache .ruff_cache .pytest_cache python/.mypy_cache python/.ruff_cache python/tests/.pytest_cache
	for crate in $(OUTSIDE_CRATES); do rm -rf $$crate/target; done
	find python examples benches -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f python/bimetal/_core*.so

$(VENV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "error: '$(PYTHON)' is not a Python 3.10 or newer; name one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	rm -rf $(VENV)
	@# Debian's python3 has no ensurepip without python3-venv: then its own pip puts one into the environment.
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV) && $(PYTHON) -m venv --without-pip $(VENV); }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 \
		|| $(PYTHON) -m pip --python $(BIN)/python install --quiet pip \
		|| { rm -rf $(VENV); echo "error: '$(PYTHON)' can neither make an environment with pip nor install one into it;" \
			"install pip for it (Debian: apt-get install python3-pip, or python3-venv)" >&2; exit 1; }
	@touch $@

$(TEST_STAMP): $(PINS) | $(VENV_STAMP)
	$(BIN)/python -m pip install --quiet -r $(PINS)
	@touch $@

$(SUITE_STAMP): $(SUITE_PINS) $(PINS) | $(VENV_STAMP)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: FastAPI's test suite needs Python 3.11 or newer; name one: make PYTHON=python3.13 conformance" >&2; exit 1; }
	rm -rf $(SUITE)
	$(BIN)/python -m venv --without-pip $(SUITE)
	$(BIN)/python -m pip --python $(SUITE)/bin/python install --quiet -r $(SUITE_PINS)
	@touch $@

# `maturin develop` installs the package in place, so a change in its Python files needs no build. The pins hold FastAPI at
# a version whose routes can be compiled.
$(BUILD_STAMP): $(RUST_SOURCES) $(PINS) | $(VENV_STAMP)
	PIP_CONSTRAINT=$(abspath $(PINS)) $(BIN)/python -m pip install --quiet maturin python-multipart
	cd python && VIRTUAL_ENV=$(abspath $(VENV)) PIP_CONSTRAINT=$(abspath $(PINS)) \
		$(abspath $(BIN))/maturin develop --release --quiet --extras uvloop,testing
	@touch $@
