# Each target is one line to type; the virtual environment is made when it is missing or stale.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= demo-home
PYTEST := $(BIN)/python -m pytest
# Whole files to two processes, in their order: the long ones (browser, chain, fault) come first.
BOTH := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-all check slither bench clean

demo: $(VENV)/.run  ## The main job on real data in a fresh home, told step by step.
	$(BIN)/shuzheng demo --home $(HOME_DIR) --fresh

test: $(VENV)/.test  ## What must hold: both databases, contracts, node, proofs, story; ten minutes at most.
	$(PYTEST) $(BOTH) -m "not slow"

test-all: $(VENV)/.test  ## Everything, with the slow suites: kill loops, exhaustive proofs, recompilation, LibreOffice.
	$(PYTEST) $(BOTH)

check: $(VENV)/.test  ## Style, strict types, house rules.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) tests/test_house.py

slither: $(VENV)/.test .venv-slither/.made | contracts/node_modules  ## Ask Slither about the contracts.
	$(BIN)/python -m contracts.slither

bench: $(VENV)/.test  ## Figures as ratios within one run; never part of the tests.
	$(BIN)/python -m tests.bench

clean:  ## Remove what the targets made, except homes.
	rm -rf $(VENV) .venv-slither build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

.venv-slither/.made: contracts/slither-constraints.txt
	$(PYTHON) -m venv .venv-slither
	.venv-slither/bin/python -m pip install --quiet --disable-pip-version-check -c $< slither-analyzer
	@touch $@

contracts/node_modules:
	npm ci --prefix contracts --no-audit --no-fund
