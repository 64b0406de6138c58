# One command each; every one does its own set-up. Needs only git, make and Python 3.11 or newer.
#
#   make run     the main job: adaptive sampling of alanine dipeptide, with its summary and picture
#   make test    all tests
#   make check   format, lint and types
#   make crash   the long form of the crash tests
#   make bench   all benchmarks beside the peers, into runs/bench; `make bench-quick` takes less than two minutes
#   make toy     the four wishes of the toy graph
#   make clean   remove the virtual environment and what was run

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORK ?= runs/adaptive
WORKERS ?= 2

.PHONY: run test check format crash bench bench-quick toy setup clean
.DELETE_ON_ERROR:

run: $(VENV)/.examples
	$(BIN)/python examples/adaptive_sampling/adaptive.py --work $(WORK) --workers $(WORKERS)

test: $(VENV)/.examples $(VENV)/.test
	$(BIN)/python -m pytest

crash: $(VENV)/.examples $(VENV)/.test
	HOLDFAST_CRASH=long $(BIN)/python -m pytest -m crash

check: $(VENV)/.check $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

bench-quick: $(VENV)/.bench
	$(BIN)/python -m benchmarks --quick

toy: $(VENV)/.core
	$(BIN)/python examples/toy_graph.py

setup: $(VENV)/.examples $(VENV)/.test $(VENV)/.check

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "holdfast needs Python 3.11 or newer; $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.core: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.examples $(VENV)/.check $(VENV)/.bench: $(VENV)/.%: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	touch $@

$(VENV)/.test: $(VENV)/.core
	@command -v cc >/dev/null || { apt-get install -y -q gcc libc6-dev || sudo -n apt-get install -y -q gcc libc6-dev; } 2>/dev/null \
	  || echo "There is no C compiler (cc): the tests that turn the clock will be skipped. Install gcc and they run."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,dask,hdf5,arrow,pandas,polars,xarray]'
	touch $@

clean:
	rm -rf $(VENV) runs
