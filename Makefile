# `make demo` and `make test` are all a newcomer needs: both set up their own environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow lint bench clean

$(VENV)/.ready: pyproject.toml setup.py $(wildcard src/stepwell/encoders/patches/fused*.[ch])
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stepwell needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/.ready  ## the whole story on real images, in a minute
	$(BIN)/stepwell demo

test: $(VENV)/.ready lint  ## everything that fits into twelve minutes
	$(BIN)/python -m pytest -m 'not slow'

test-slow: $(VENV)/.ready  ## what takes longer
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready  ## the tables in benchmarks/results (long)
	$(BIN)/python benchmarks/images.py

clean:
	rm -rf $(VENV) build src/stepwell.egg-info
