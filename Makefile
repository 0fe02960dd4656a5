# `make demo` and `make test` are all a newcomer needs: both set up their own environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow test-lowest lint bench bench-peers bench-staircase bench-gradient bench-labels clean

$(VENV)/.ready: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(VENV)/.base: pyproject.toml setup.py $(wildcard src/stepwell/encoders/patches/fused*.[ch])
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stepwell needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

demo: $(VENV)/.base  ## the whole story on real images, in a minute
	$(BIN)/stepwell demo

test: $(VENV)/.ready lint  ## everything that fits into twelve minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

test-slow: $(VENV)/.ready  ## what takes longer
	$(BIN)/python -m pytest -m slow

LOWEST ?= .venv-lowest
test-lowest:  ## every verb, with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet $$($(PYTHON) tests/lowest/pins.py)
	$(LOWEST)/bin/python -m pip install --quiet --no-deps --editable .
	$(LOWEST)/bin/python -m pip check
	$(LOWEST)/bin/python tests/lowest/smoke.py

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready  ## the tables in benchmarks/results (hours; needs ../shared/data)
	mkdir -p build && rm -f build/rows.jsonl
	for preset in fast default; do for n in 10000 40000; do \
	    $(BIN)/python benchmarks/images.py cifar10 --examples $$n --preset $$preset --seeds 3 \
	        >> build/rows.jsonl || exit 1; done; done
	$(BIN)/python benchmarks/images.py cifar10 --examples 40000 --preset large >> build/rows.jsonl
	for data in fashion trashnet pneumonia; do \
	    $(BIN)/python benchmarks/images.py $$data --preset fast --controls >> build/rows.jsonl || exit 1; done
	for n in 5000 10000 20000 30000 40000 50000; do \
	    $(BIN)/python benchmarks/images.py cifar10-all --examples $$n --preset fast >> build/rows.jsonl || exit 1; done
	$(BIN)/python benchmarks/ladder.py cifar10 --examples 10000 >> build/rows.jsonl
	$(BIN)/python benchmarks/ladder.py fashion trashnet pneumonia >> build/rows.jsonl
	$(BIN)/python benchmarks/views.py cifar10 fashion trashnet pneumonia >> build/rows.jsonl
	$(BIN)/python benchmarks/bare.py >> build/rows.jsonl
	$(BIN)/python benchmarks/rounding.py >> build/rows.jsonl
	$(BIN)/python benchmarks/tables.py build/rows.jsonl > benchmarks/results/images.md

bench-staircase: $(VENV)/.ready  ## the tables in benchmarks/results/staircase.md (half an hour; torch)
	mkdir -p build
	$(BIN)/python benchmarks/staircase.py linear kernels wide nets cost explain > build/staircase.jsonl
	$(BIN)/python benchmarks/staircase.py --table build/staircase.jsonl > benchmarks/results/staircase.md

bench-gradient: $(VENV)/.ready  ## the tables in benchmarks/results/gradient.md (an hour)
	mkdir -p build
	$(BIN)/python benchmarks/gradient.py speed objectives faults > build/gradient.jsonl
	$(BIN)/python benchmarks/gradient.py --table build/gradient.jsonl > benchmarks/results/gradient.md

bench-labels: $(VENV)/.ready  ## the tables in benchmarks/results/judge.md and finetune.md (two hours)
	mkdir -p build
	$(BIN)/python benchmarks/judge.py ranking recalibration > build/judge.jsonl
	$(BIN)/python benchmarks/judge.py --table build/judge.jsonl > benchmarks/results/judge.md
	$(BIN)/python benchmarks/finetune.py few promise strange suggest suspects forget > build/finetune.jsonl
	$(BIN)/python benchmarks/finetune.py --table build/finetune.jsonl > benchmarks/results/finetune.md

PEER ?= build/peer/bin/python
bench-peers: $(VENV)/.ready  ## lightly at equal CPU time (an hour; PEER=a python that has lightly)
	$(BIN)/python benchmarks/peers/export.py cifar10 --examples 10000 --out build/cifar10
	$(BIN)/python benchmarks/peers/export.py trashnet --out build/trashnet
	for seed in 0 1 2; do for method in simclr vicreg barlow_twins; do \
	    $(PEER) benchmarks/peers/lightly_image.py --method $$method --data build/cifar10/images.npz \
	        --cpu-seconds 75 --seed $$seed --stem imagenet --out build/cifar10 || exit 1; done; \
	    $(PEER) benchmarks/peers/lightly_image.py --method simclr --data build/trashnet/images.npz \
	        --cpu-seconds 80 --seed $$seed --stem imagenet --out build/trashnet || exit 1; done
	$(PEER) benchmarks/peers/lightly_image.py --method simclr --data build/cifar10/images.npz \
	    --cpu-seconds 1800 --stem imagenet --out build/cifar10
	for data in cifar10 trashnet; do \
	    $(BIN)/python benchmarks/peers/score.py --data $$data --labels build/$$data/labels.npz \
	        build/$$data/*_s*.npz >> build/rows.jsonl || exit 1; done

clean:
	rm -rf $(VENV) build src/stepwell.egg-info
