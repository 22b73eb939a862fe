# Two commands for a fresh machine: `make demo` and `make test`. Both create .venv with the pinned versions of constraints.txt.
PYTHON ?= python3
PYTHONS ?= python3.11 python3.12
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Hundreds of processes start in the tests: what Python has compiled once is kept.
unexport PYTHONDONTWRITEBYTECODE

NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "mtsldsl needs Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) --version 2>&1): name another, as in make PYTHON=python3.11 ..." >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest test-libraries lint types unit soak generated tables clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

# What an earlier try left unfinished, such as one with another Python, is no start for the next.
.venv/.runtime: pyproject.toml constraints.txt
	@$(NEW_ENOUGH)
	@test -e $@ || rm -rf .venv
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) torch==2.13.0
	$(PIP_INSTALL) --editable .
	@touch $@

.venv/.dev: .venv/.runtime
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

demo: .venv/.runtime  ## from nothing to a trained, evolved and diffed spec
	@PATH="$(CURDIR)/$(BIN):$$PATH" ./demo.sh

test: lint types unit  ## lint, types and tests

lint: .venv/.dev  ## ruff over everything, generated code included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev  ## mypy --strict over the package
	$(BIN)/mypy

unit: .venv/.dev  ## the tests, in parallel
	$(BIN)/pytest -n auto --dist worksteal --quiet

.venv-lowest/%/.ready: pyproject.toml constraints.txt tests/lowest.py
	rm -rf .venv-lowest/$*
	$* -m venv .venv-lowest/$*
	.venv-lowest/$*/bin/python tests/lowest.py > .venv-lowest/$*/constraints.txt
	.venv-lowest/$*/bin/python -m pip install --quiet --disable-pip-version-check --constraint .venv-lowest/$*/constraints.txt --editable '.[dev]'
	@touch $@

test-lowest: $(PYTHONS:%=.venv-lowest/%/.ready)  ## the tests with each of PYTHONS and the lowest versions that pyproject.toml allows
	for each in $(PYTHONS); do .venv-lowest/$$each/bin/pytest -n auto --dist worksteal --quiet || exit 1; done

.venv-libraries/.ready: pyproject.toml constraints.txt tests/libraries.txt
	@$(NEW_ENOUGH)
	rm -rf .venv-libraries
	$(PYTHON) -m venv .venv-libraries
	.venv-libraries/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	.venv-libraries/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement tests/libraries.txt --editable '.[dev,robustness]'
	@touch $@

test-libraries: .venv-libraries/.ready  ## the tests of large libraries: corrupted pictures, and data sets and networks of Hugging Face, which are only read
	.venv-libraries/bin/pytest -n 0 --quiet -m "soak or not soak" tests/runtime/data/test_hugging_face.py tests/runtime/pretrained tests/studies/test_corrupted_runs.py

soak: .venv/.dev  ## what takes many minutes: the memory of every operator, commands on huge networks, all examples of slow laws
	$(BIN)/pytest -n 0 --quiet --hypothesis-profile=soak -m soak

generated: .venv/.dev  ## recompile every spec of specs/ into generated/
	@for spec in specs/*.mtl; do $(BIN)/mtsldsl compile $$spec || exit 1; done

tables: .venv/.dev  ## parser's tables and templates compiled ahead, after a change of them or of lark's or jinja2's version
	$(BIN)/python -c 'from mtsldsl.syntax.grammar import READY, ready_tables; READY.write_text(ready_tables(), encoding="utf-8")'
	$(BIN)/python -c 'from mtsldsl.codegen.compiled_templates import write_ready; write_ready()'

clean:  ## remove what the targets above made
	rm -rf .venv .venv-libraries .venv-lowest .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
