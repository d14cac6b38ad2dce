# Each target does its own set-up in .venv, with the exact versions of constraints.txt.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN = .venv/bin/eyesight
PYTEST = .venv/bin/python -m pytest

# Processes that share the tests, file by file, as what a file prepares is prepared once; each computes with one thread
# (tests/conftest.py).
WORKERS ?= 2
PARALLEL = --numprocesses $(WORKERS) --dist loadfile

# What depends on the processor's instructions, and as an older processor computes it: AVX2, without AVX-512 and AMX.
AVX2 = ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
ON_AVX2 = tests/models $(wildcard tests/engine) tests/bench tests/test_classifier.py tests/training/test_training.py

# Each notebook is made from the program of its name, and run; make -B notebooks makes all of them again.
NOTEBOOKS = $(patsubst examples/tutorial_%.py,examples/notebooks/%.ipynb,$(wildcard examples/tutorial_*.py))

.DELETE_ON_ERROR:
.PHONY: demo test test-avx2 test-long check format kernel notebooks clean

demo: .venv/installed
	$(RUN) train digits --output demo/run --overwrite
	$(RUN) evaluate demo/run
	$(RUN) predict demo/run examples/digit.png
	@echo "model:   demo/run/model.safetensors"
	@echo "figures: demo/run/figures/"

test: .venv/installed-dev
	$(PYTEST) $(PARALLEL) -m "not long"

test-avx2: .venv/installed-dev
	$(AVX2) $(PYTEST) $(PARALLEL) -m "not long" $(ON_AVX2)

test-long: .venv/installed-dev
	$(PYTEST) -m long

check: .venv/installed-dev
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy

format: .venv/installed-dev
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

kernel: .venv/installed-dev # of the page, from C; the bytes are committed
	.venv/bin/python -m eyesight.export.page.kernel

notebooks: $(NOTEBOOKS)

examples/notebooks/%.ipynb: examples/tutorial_%.py | .venv/installed-dev
	.venv/bin/jupytext --quiet --to ipynb --output $@ $<
	.venv/bin/jupyter execute --inplace --timeout=-1 $@

clean:
	rm -rf .venv demo .mypy_cache .ruff_cache

.venv/python: # a virtual environment, of a Python that is new enough
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "eyesight needs Python 3.11 or newer; try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	@touch $@
