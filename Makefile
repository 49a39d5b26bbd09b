# Two commands do everything: `make demo` and `make test`. Each makes in .venv what it needs; a second time that costs
# nothing. The demonstration needs camfleet and its page, the tests need everything.

PYTHON   ?= python3
DURATION ?= 30
CASES    ?= 1000000
VENV     := .venv
BIN      := $(VENV)/bin
PIP      := $(BIN)/pip install --quiet --disable-pip-version-check
LIGHT    := $(VENV)/.light
READY    := $(VENV)/.ready

# Hundreds of processes are started: each would compile the package and its tests anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check docs long chaos soak fuzz format clean

help:
	@echo "make demo [DURATION=30]  six recordings as RTSP cameras, one fleet, a live table (0: until Ctrl-C)"
	@echo "make test                checks and tests"
	@echo "make long                what takes minutes: clusters of Ray that grow and fall, bursts, smaller models; ten minutes"
	@echo "make chaos               200 faults in 10 minutes on every kind of process; SEED=… repeats a run"
	@echo "make soak [DURATION=1h]  a fleet for an hour: nothing may grow; writes soak.html"
	@echo "make fuzz                a million hostile inputs for all that reads bytes of strangers; CASES=… for more"
	@echo "make check               linting, types and import rules alone"
	@echo "make docs                the manual, into docs/_build/html; read and searched without a network"
	@echo "make format              format the code"
	@echo "make setup               the environment in $(VENV), with everything"
	@echo "make clean               remove it"

setup: $(READY)

$(LIGHT): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "camfleet needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Making the environment in $(VENV): less than a minute and 0.7 GB …"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable '.[page]'
	@touch $(LIGHT)

$(READY): $(LIGHT)
	@echo "Installing what all commands and the tests need: about two minutes and 6 GB (PyTorch comes with Ultralytics) …"
	@$(PIP) --editable '.[dev]'
	@touch $(READY)

demo: $(LIGHT)
	@$(BIN)/camfleet demo --duration $(DURATION)

test: check
	@echo "Running the tests, three at a time …"
	@$(BIN)/pytest --numprocesses 3 --dist worksteal -m "not whole_machine and not long"
	@echo "Running the tests that need the machine for themselves …"
	@$(BIN)/pytest -m "whole_machine and not long" $$(grep -lE "whole_machine|WITH_RAY" tests/test_*.py)

long: setup
	@$(BIN)/pytest -m long

chaos: setup
	@$(BIN)/python scripts/chaos.py $(if $(SEED),--seed $(SEED))

soak: DURATION := $(if $(filter command line,$(origin DURATION)),$(DURATION),1h)
soak: setup
	@$(BIN)/python scripts/soak.py --duration $(DURATION) $(if $(SEED),--seed $(SEED))

fuzz: setup
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(PIP) --editable '.[fuzz]'
	@$(BIN)/python scripts/fuzz.py --cases $(CASES) $(if $(SEED),--seed $(SEED))

check: setup
	@echo "Checking style, types and import rules …"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo 2>&1 | tail -n 4

docs: setup
	@$(BIN)/python -c 'import furo, myst_parser' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@rm -rf docs/_build
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build/html
	@echo "The manual: docs/_build/html/index.html"

format: setup
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
