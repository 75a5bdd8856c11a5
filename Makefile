# make molecules   install into .venv, generate 100 molecules with the bundled model, score them
# make test        what CI runs: lint, types, import contracts and tests, in the same .venv
# make docs        build the documentation into site/; site/index.html opens in any browser
# make lint | types | imports | unit   one of these alone;   make format   rewrite the code;   make clean   start afresh
# make audit       ask PyPI about known faults of the pinned dependencies; without network it says so, and does not fail
#
# PYTHON=python3.12 chooses the interpreter, JOBS=8 the number of test processes. PyPI's torch for Linux holds CUDA (several
# GB); pip takes the small CPU build instead if PIP_EXTRA_INDEX_URL names PyTorch's CPU index (see pytorch.org).

PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: molecules test docs lint types imports unit audit format clean

molecules: .venv/installed
	$(BIN)/moldiff sample --num_samples 100 --seed 0 --out molecules.sdf --overwrite
	$(BIN)/moldiff evaluate --molecules molecules.sdf
	@echo "Written: molecules.sdf (100 molecules; any molecule viewer opens it)"

test: lint types imports unit

docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: .venv/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml moldiff

types: .venv/installed-test
	$(BIN)/mypy

imports: .venv/installed-test
	$(BIN)/lint-imports

unit: .venv/installed-test
	$(BIN)/pytest --numprocesses=$(JOBS) --dist=loadfile

audit: $(BIN)/python
	@$(PYTHON) -m venv .venv/audit
	@if .venv/audit/bin/python -m pip install --quiet 'pip-audit>=2.9,<3' \
	    && .venv/audit/bin/python -c "import urllib.request as u; u.urlopen('https://pypi.org/pypi/pip/json', timeout=20)"; \
	then .venv/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip; \
	else echo "PyPI cannot be reached: nothing was audited"; fi

format: .venv/installed-test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv build site *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# The empty files .venv/installed* say when the installation was last complete: it is repeated only if what it depends on changes.
# torch goes first: what else is installed then finds it there.
.venv/installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt torch==2.13.0
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

.venv/installed-test: .venv/installed
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	@touch $@

.venv/installed-docs: .venv/installed
	$(PIP) install --constraint constraints.txt --editable '.[docs]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and \
	"moldiff needs Python 3.11 or newer, got " + v + ": choose another with make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear .venv
