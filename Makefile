# Each target does its own set-up in .venv, with the exact versions of constraints.txt.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN = .venv/bin/eyesight

.PHONY: demo test test-long check format clean

demo: .venv/installed
	$(RUN) train digits --output demo/run --overwrite
	$(RUN) evaluate demo/run
	$(RUN) predict demo/run examples/digit.png
	@echo "model:   demo/run/model.safetensors"
	@echo "figures: $$(ls -d demo/run/evaluation/test-*)/"

test: .venv/installed-dev
	.venv/bin/python -m pytest -m "not long"

test-long: .venv/installed-dev
	.venv/bin/python -m pytest -m long

check: .venv/installed-dev
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy

format: .venv/installed-dev
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

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
