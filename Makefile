# make demo, make test: each sets up all it needs in .venv first. Python 3.11 or newer, pip, and a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint types browser slow gpu tinker-conformance clean

demo: $(READY)
	$(BIN)/assay demo

test: $(READY)
	$(BIN)/python -m pytest

# Pages in a real browser: needs Chromium (Debian: apt-get install chromium).
browser: $(READY)
	$(BIN)/python -m pytest -m browser --timeout 300

slow: $(READY)
	$(BIN)/python -m pytest -m "slow and not gpu and not network" --timeout 900

gpu: $(READY)
	$(BIN)/python -m pytest -m gpu --timeout 600

# A Tinker-compatible server in an environment of its own, and the policy's tests against it (docs/policies-tinker.md).
TINKER_SDK ?= 0.24.1
TINKER := .venv-tinker
TINKER_SERVER := .venv-tinker-server

tinker-conformance: $(TINKER)/.ready-$(TINKER_SDK) $(TINKER_SERVER)/.ready
	$(TINKER)/bin/python tests/tinker_server/with_server.py --server-python $(TINKER_SERVER)/bin/python -- \
	  $(TINKER)/bin/python -m pytest tests/conformance/test_tinker_server.py tests/policies/test_tinker_sdk_calls.py

$(TINKER)/.ready-$(TINKER_SDK): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TINKER)
	$(TINKER)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' tinker==$(TINKER_SDK)
	rm -f $(TINKER)/.ready-*
	touch $@

$(TINKER_SERVER)/.ready: tests/tinker_server/constraints.txt
	$(PYTHON) -m venv $(TINKER_SERVER)
	$(TINKER_SERVER)/bin/python -m pip install --quiet --constraint $< 'skyrl[tinker,jax]==0.3.0'
	touch $@

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/pyright

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,report,server]'
	touch $@

clean:
	rm -rf $(VENV) $(TINKER) $(TINKER_SERVER) .pytest_cache .ruff_cache .hypothesis
