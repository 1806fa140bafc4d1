# make demo      install into .venv, train on the bundled pairs, translate a continent never seen
# make test      all checks but the slow ones
# make test-all  the slow ones, too
# make docs      write docs/configuration.md anew from the code, and build the site in site/
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# A file's tests share what is costly to make.
PARALLEL := -n auto --dist loadfile

.PHONY: demo test test-all test-gpu lint docs clean

demo: $(INSTALLED)
	$(BIN)/img2img demo

test: lint
	$(BIN)/python -m pytest $(PARALLEL)

test-all: lint
	$(BIN)/python -m pytest $(PARALLEL) -m "slow or not slow"

test-gpu: $(INSTALLED)
	$(BIN)/python -m pytest -m gpu

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)
	$(BIN)/python docs/build.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv runs/demo site

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("img2img needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -e '.[dev]'
	@touch $(INSTALLED)
