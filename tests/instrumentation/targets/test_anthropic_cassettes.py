"""Recorded conversations through the real SDK: the agent gets what it got, and the spans say what was billed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import cassettes
import toolspend
from evidence_said import apart
from toolspend import attributes as at
from toolspend import testing


def facts(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """What the spans of model requests say, in the terms of `Cassette.facts`."""
    requests = [span for span in spans if span["attributes"].get(at.OPERATION) == "chat"]
    totals: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    server_calls: Counter[str] = Counter()
    parallel = 0
    for span in requests:
        said = apart(span["attributes"])
        read, write = said.get(at.CACHE_READ_TOKENS, 0), said.get(at.CACHE_WRITE_TOKENS, 0)
        totals["uncached"] += said.get(at.INPUT_TOKENS, 0) - read - write
        totals["read"] += read
        totals["write"] += write
        totals["output"] += said.get(at.OUTPUT_TOKENS, 0)
        for iteration in json.loads(said.get(at.USAGE_ITERATIONS, "[]")):
            if iteration["type"] == "compaction":
                totals["uncached"] += iteration["input_tokens"]
                totals["output"] += iteration["output_tokens"]
        of_client = 0
        for segment in json.loads(said.get(at.OUTPUT_SEGMENTS, "[]")):
            if segment[0] == at.SEGMENT_CALL:
                is_server = len(segment) > 4 and at.FLAG_SERVER in (segment[4] or "")
                (server_calls if is_server else calls)[segment[2]] += 1
                of_client += not is_server
        parallel += of_client > 1
    return {
        "requests": len(requests),
        "tool_calls": dict(calls),
        "server_tool_calls": dict(server_calls),
        "parallel_turns": parallel,
        "uncached_tokens": totals["uncached"],
        "output_tokens": totals["output"],
        "cache_write_tokens": totals["write"],
        "cache_read_tokens": totals["read"],
        "errors": [span["attributes"][at.ERROR_TYPE] for span in requests if span["status"] == "ERROR"],
    }


@pytest.mark.parametrize("name", cassettes.SETS)
def test_spans_say_what_the_recording_was_billed(name: str, recordings: Path) -> None:
    """Requests, calls by name, parallel turns, tokens by cache class and errors are those of `expected.json`."""
    for cassette in cassettes.load(recordings, name):
        with testing.capture() as captured:
            toolspend.instrument(export=None)
            cassettes.play(cassette)
            toolspend.uninstrument()
        assert facts(captured.spans()) == cassette.facts(), cassette.name
    assert toolspend.stats()["failures"] == {}


@pytest.mark.parametrize("name", cassettes.SETS)
def test_the_agent_gets_and_sends_what_it_did_without_us(name: str, recordings: Path) -> None:
    """Every result, event, error and request body is the same with and without instrumentation."""
    for cassette in cassettes.load(recordings, name):
        before = cassettes.play(cassette)
        with testing.capture():
            toolspend.instrument(export=None)
            during = cassettes.play(cassette)
            toolspend.uninstrument()
        assert during == before, cassette.name
