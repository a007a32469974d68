# Everything runs in environments of this folder; nothing but Python 3.11+, pip and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLD := .venv-old-sdk
LOWEST := .venv-lowest
STAMP := $(VENV)/.installed

.PHONY: demo test lint check test-old-sdk test-lowest accuracy selection bench samples clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	touch $@

demo: $(STAMP) ## the dashboard on the sample traces
	$(BIN)/toolspend demo

test: $(STAMP) ## every test
	$(BIN)/python -m pytest

lint: $(STAMP) ## linters, type checkers, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

check: lint test ## linters, type checkers, layers, and every test

test-old-sdk: ## the instrumentation with the oldest anthropic SDK, which emits no spans of its own
	$(PYTHON) -m venv $(OLD)
	$(OLD)/bin/python -m pip install --quiet --upgrade pip
	$(OLD)/bin/python -m pip install --quiet --editable '.[toolkit]' 'anthropic==0.40.0' 'httpx<0.28' pytest hypothesis anyio
	$(OLD)/bin/python -m pytest tests/instrumentation

test-lowest: ## every test with the lowest versions that pyproject.toml admits
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --upgrade pip
	$(LOWEST)/bin/python tests/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt --editable '.[all]' --group dev
	$(LOWEST)/bin/python -m pytest

accuracy: $(STAMP) ## the table of the README: the bill by tool beside the truth, for simulated sessions
	$(BIN)/python tests/accuracy/run.py

selection: $(STAMP) ## the tools that tasks need, among those selected: the table of the README; takes some minutes
	$(BIN)/python -m pip install --quiet --group selection
	PYTHONPATH=tests $(BIN)/python -m toolkit_selection.measure

bench: $(STAMP) ## the figures of the README
	$(BIN)/python tests/bench/run.py

samples: $(STAMP) ## makes the sample traces anew
	$(BIN)/python sample_traces/generate.py

clean:
	rm -rf $(VENV) $(OLD) $(LOWEST)
