# make demo      install into .venv, train on the bundled pairs, translate a held-out continent
# make install   install into .venv, with all extras
# make test      lint, and all tests except the slow ones
# make test-all  the slow tests, too
# make test-lowest   core tests with the lowest supported versions (tests/lowest.txt), in
#                    .venv-lowest; needs Python 3.11 or 3.12, which have wheels of these versions
# make test-newest PYTHON=python3.14   core tests with another Python, in .venv-newest
# make coverage  the lines of img2img that no test runs, in any process
# make test-gpu  the tests that need a GPU
# make docs      write docs/configuration.md from the code, and build the site in site/
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# Tests of one file run in one process: they share fixtures that are slow to make.
PARALLEL := -n auto --dist loadfile
# The core tests: they use most of what img2img uses of other packages, and take a few minutes.
CORE := tests/test_config.py tests/test_registry.py tests/test_catalogue.py tests/test_old_runs.py \
	tests/losses tests/networks tests/images tests/archives tests/models/test_checkpoint.py \
	tests/data/test_loader.py tests/data/test_paired.py tests/data/test_augment.py \
	tests/training/test_pix2pix.py tests/training/test_ema.py tests/training/test_optimizers.py \
	tests/training/test_precision.py tests/training/test_accumulate.py \
	tests/engine/test_translator.py tests/engine/test_runner.py tests/engine/test_private_parts.py \
	tests/metrics tests/video/test_video_encoding.py tests/test_export.py \
	tests/cli/test_options.py tests/cli/test_train_command.py tests/cli/test_translate_command.py
EXTRAS := geo,medical,metrics,onnx,openvino,science
TESTING := pytest pytest-xdist hypothesis

.PHONY: demo install test test-all test-lowest test-newest coverage test-gpu lint docs clean

demo: $(INSTALLED)
	$(BIN)/img2img demo

install: $(INSTALLED)

test: lint
	$(BIN)/python -m pytest $(PARALLEL)

test-all: lint
	$(BIN)/python -m pytest $(PARALLEL) -m "slow or not slow"

test-lowest: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest $(PARALLEL) $(CORE)

test-newest: .venv-newest/installed
	.venv-newest/bin/python -m pytest $(PARALLEL) $(CORE)

coverage: $(INSTALLED)
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term-missing:skip-covered

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
	@echo "site/index.html is the site; to search it, serve it: $(BIN)/python -m http.server --directory site"

clean:
	rm -rf .venv .venv-lowest .venv-newest runs/demo site

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("img2img needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -e '.[dev]'
	@touch $(INSTALLED)

.venv-lowest/installed: pyproject.toml tests/lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --disable-pip-version-check -c tests/lowest.txt -e '.[$(EXTRAS)]' $(TESTING)
	@touch $@

.venv-newest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/pip install --disable-pip-version-check -e '.[$(EXTRAS)]' $(TESTING)
	@touch $@
