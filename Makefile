# Everything runs in environments of this folder; nothing but Python 3.11+, pip and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLD := .venv-old-sdk
PEERS := .venv-peers
PEER_SPANS ?= 20000
LOWEST := .venv-lowest
NEWEST := .venv-newest
NEWEST_PYTHON ?= python3.13
SPANS := 1000000
STAMP := $(VENV)/.installed
# A file's tests stay together: what they share is made once.
PARALLEL := -n auto --dist loadfile --max-worker-restart 2

FUZZED := protobuf document lines file logs metrics body
FUZZ_SECONDS ?= 3600

.PHONY: demo test lint check test-old-sdk test-lowest test-newest accuracy bound bench bench-receive bench-peers soak fuzz samples selection compression clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	$(BIN)/python -m compileall -q instrumentation ingest dashboard # as pip does for all that it copies
	touch $@

demo: $(STAMP) ## the dashboard on the sample traces
	$(BIN)/toolspend demo

test: $(STAMP) ## every test
	$(BIN)/python -m pytest $(PARALLEL)

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
	$(LOWEST)/bin/python -m pytest $(PARALLEL)

test-newest: ## every test with the newest Python that pyproject.toml declares
	$(MAKE) test VENV=$(NEWEST) PYTHON=$(NEWEST_PYTHON)

accuracy: $(STAMP) ## the table of the README: the bill by tool beside the truth, for simulated sessions
	$(BIN)/python tests/accuracy/run.py

bound: $(STAMP) ## of simulated sessions in which a tool is off: how much of that no bill tells
	$(BIN)/python tests/accuracy/bound.py

selection: $(STAMP) ## the tools that tasks need, among those selected: the table of the README; takes some minutes
	$(BIN)/python -m pip install --quiet --group selection
	PYTHONPATH=tests $(BIN)/python -m toolkit_selection.measure

compression: $(STAMP) ## what is left of planted facts when results are compressed to a fifth without a model
	$(BIN)/python tests/compression/run.py

bench: $(STAMP) ## the figures of the README
	$(BIN)/python tests/bench/run.py

soak: $(STAMP) ## the server killed a hundred times under load, and its disk filled and emptied
	$(BIN)/python tests/soak/kills.py 100
	$(BIN)/python tests/soak/disk.py 10

fuzz: $(STAMP) ## inputs that break what reads them are looked for, FUZZ_SECONDS for each reader, all at once
	$(BIN)/python -m pip install --quiet --group fuzz
	printf '%s\n' $(FUZZED) | xargs -P 0 -I '{}' $(BIN)/python tests/fuzz/run.py '{}' --seconds $(FUZZ_SECONDS)

bench-receive: $(STAMP) ## what the receiver takes; SPANS=20000 for a short look
	$(BIN)/python tests/bench/receive.py --spans $(SPANS)

bench-peers: $(STAMP) ## other receivers beside ours in one run, each in an environment of its own
	-$(PYTHON) -m venv $(PEERS)/phoenix && $(PEERS)/phoenix/bin/python -m pip install --quiet arize-phoenix
	-$(PYTHON) -m venv $(PEERS)/trace-view && $(PEERS)/trace-view/bin/python -m pip install --quiet trace-view
	$(BIN)/python tests/bench/receive.py --spans $(PEER_SPANS) --peers $(PEERS)

samples: $(STAMP) ## makes the sample traces anew
	$(BIN)/python sample_traces/generate.py

clean:
	rm -rf $(VENV) $(OLD) $(LOWEST) $(NEWEST) $(PEERS)
