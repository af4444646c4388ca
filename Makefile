# The two commands of the README, and what a developer runs. CI runs `.ci/run`.
#   make demo     train, evaluate and predict on the shipped handwritten digits
#   make test     the test suite;  make test-fast  the part without TensorFlow
#   make test-long  the rest of the grids of cases, of which `make test` runs the first ones; fuzzing; torture
#   make editors  installs the language server for YAML, with npm, which tests/editors speaks with and skips without
#   make test-benchmarks  the tests of benchmarks/, which `make test` leaves out
#   make check    ruff and mypy; known vulnerabilities of the pinned packages, where PyPI can be reached
#   make docs     the generated parts of the documentation;  make site  all of it as a web site, in build/site
#   make dist     build the wheel and the source distribution into dist/
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Two processes, each of which runs whole files.
TOGETHER := -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/benchmarks

.PHONY: demo test test-long test-fast test-benchmarks editors check format docs site dist clean

demo: $(VENV)/installed
	@echo "== training LeNet on 1,438 handwritten digits, configs/lenet_directory.yaml"
	$(BIN)/kerasrun train configs/lenet_directory.yaml
	@echo "== evaluating it on the 359 test digits"
	$(BIN)/kerasrun evaluate
	@echo "== predicting one image of a 7, three images of a 3"
	$(BIN)/kerasrun predict data/digits/png/test/7/0000.png 'data/digits/png/test/3/00[0-2]*.png' --top 2
	@echo
	@echo "The run is in runs/latest. For the commands of the README: source $(BIN)/activate"
	@echo "Then 'kerasrun plot' draws its curves, 'tensorboard --logdir runs' shows them live, 'kerasrun runs' lists all"
	@echo "runs. Change something: 'kerasrun train configs/lenet_directory.yaml -s fit.epochs=3'. Then read configs/ and docs/."

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -m "not long" $(TOGETHER)

test-long: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -m long $(TOGETHER)

test-fast: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -m "not tensorflow and not long" $(TOGETHER)

test-benchmarks: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q tests/benchmarks

editors: tests/editors/node_modules/installed

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/audit.py

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed-dev
	$(BIN)/python docs/make_reference.py

# Warnings are errors: a link that leads nowhere, a page that no table of contents has. Ten seconds; no network.
site: $(VENV)/installed-docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --fresh-env -c docs -d build/doctrees . build/site
	@echo "the documentation is in build/site/index.html"

dist: $(VENV)/installed-dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "kerasrun needs Python 3.11, 3.12 or 3.13, $(PYTHON) is $$($(PYTHON) --version); try make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "== installing kerasrun and the versions it was tested with into $(VENV) (TensorFlow is large)"
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[docs]'
	@touch $@

tests/editors/node_modules/installed: tests/editors/package-lock.json
	npm ci --prefix tests/editors --ignore-scripts --no-audit --no-fund
	@touch $@
