"""Stored spans are read as far as anything follows from them."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolspend import attributes as at
from toolspend_ingest import Store, ingest, json_text, stored, vocabularies
from toolspend_ingest.otlp_values import LOG_KIND
from toolspend_ingest.rows import Span
from toolspend_ingest.spans import SpanBatch, SpanRow
from toolspend_ingest.store import Load
from toolspend_ingest.told_by_logs import folded
from toolspend_ingest.traces import trace_rows
from toolspend_ingest.trees import INHERITED

NOW = datetime(2026, 11, 2)
HTTP = "opentelemetry.instrumentation.httpx"
NAMES = st.sampled_from([*sorted(INHERITED), *sorted(vocabularies.MARKS), "http.request.method", "gen_ai.usage.raw"])
VALUES = st.sampled_from(["chat", "execute_tool", "a b", "", 7, None, True, ["x", "y"], {"gen_ai.system": "inner"}])
SCOPES = st.sampled_from([None, at.SCOPE, at.ANTHROPIC_SCOPE, "logfire.openai", HTTP])
SAID = st.sampled_from(
    [
        {},
        {"note": "gen_ai.system"},
        {at.SESSION_ID: "a"},
        {at.SESSION_ID: "b"},
        {at.SESSION_ID: None},
        {at.CONVERSATION_ID: 7.0},
        {at.SESSION_ID_STANDARD: 'c "d"', at.USER_ID: "u"},
        {at.AGENT_NAME: "helper", at.SESSION_TAGS: ["x"]},
    ]
)
SPANS = st.lists(st.tuples(st.sampled_from(["chat", "tool", "agent", "log", "", "", "", ""]), st.integers(), SAID))
TRACES = itertools.count(1)
KINDS = {
    "chat": {at.OPERATION: "chat", at.INPUT_TOKENS: 5, at.OUTPUT_TOKENS: 1},
    "tool": {at.OPERATION: "execute_tool", at.TOOL_NAME: "search"},
    "agent": {at.OPERATION: "invoke_agent"},
    "log": {at.LOG_RECORDS: [], at.LOG_EVIDENCE: [{"id": "r", "name": "gen_ai.choice", "time_ns": 1, "said": {}}]},
    "": {"http.request.method": "GET"},
}


def _row(name: str, scope: str | None, said: dict[str, Any]) -> list[Any]:
    ids = ["1" * 32, "2" * 16, "3" * 16]
    return [*ids, name, "client", "s", scope, "1.0", NOW, NOW, 1.0, "ok", json_text.write(said), "[]"]


@given(st.sampled_from(["work", "tools/call search"]), SCOPES, st.dictionaries(NAMES, VALUES))
def test_a_span_that_is_glimpsed_says_what_it_says_when_read_whole(
    name: str, scope: str | None, said: dict[str, Any]
) -> None:
    """The same rows follow from it, and the same is inherited from it."""
    row = _row(name, scope, said)
    fields = [*row[:12], said, []]
    whole, found = vocabularies.translate(Span(*fields)), stored.span(row)
    assert vocabularies.normalise(found) == vocabularies.normalise(whole)
    for each in INHERITED:
        assert found.attributes.get(each) == whole.attributes.get(each)


def test_a_span_that_says_nothing_of_models_keeps_only_what_is_inherited() -> None:
    """Its other attributes are not even made."""
    said = {"http.request.method": "GET", at.SESSION_ID: "s-1", "note": "x" * 500}
    assert stored.span(_row("GET", "opentelemetry.instrumentation.httpx", said)).attributes == {at.SESSION_ID: "s-1"}
    assert stored.span(_row("GET", None, {**said, at.OPERATION: "chat"})).attributes["note"] == "x" * 500


def _assert_nothing_is_missed(store: Store) -> int:
    """Holds the rows of each trace to those of all its spans; gives how many spans were not read."""
    con = store.cursor()
    every: dict[str, list[Span]] = defaultdict(list)
    columns = ", ".join([*SpanRow._fields[:12], "attributes::varchar", "events::varchar"])
    for row in con.execute(f"select {columns} from spans").fetchall():
        every[row[0]].append(stored.span(row))
    found = stored.of_traces(con, list(every))
    for trace_id, spans in every.items():
        assert trace_rows(folded(found[trace_id])) == trace_rows(folded(spans))
    return sum(map(len, every.values())) - sum(map(len, found.values()))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SPANS)
def test_what_is_not_read_changes_no_row(store: Store, made: list[tuple[str, int, dict[str, Any]]]) -> None:
    """Whatever spans say, and wherever in the tree they are: parents before or after, in a ring, or never come."""
    store.write(lambda con: con.execute("delete from spans"))
    trace = f"{next(TRACES):032x}"
    rows = [
        SpanRow(
            trace, f"{place:016x}", f"{parent % (len(made) + 1):016x}" if parent % 5 else None, "work",
            LOG_KIND if kind == "log" else "client", "s", None if kind else HTTP, None, NOW + timedelta(seconds=place),
            NOW + timedelta(seconds=place + 1), 1000.0, "ok", None, json_text.write(KINDS[kind] | said), "{}", "[]",
        )
        for place, (kind, parent, said) in enumerate(made)
    ]  # fmt: skip
    store.append_load(SpanBatch(rows), Load("test", "test", None), is_derived_later=True)
    _assert_nothing_is_missed(store)


@pytest.mark.parametrize("folder", ["emitter_matrix", "otlp_traces", "sample_traces"])
def test_what_is_not_read_of_recordings_changes_no_row(store: Store, folder: str, request: Any) -> None:
    """The same of what emitters sent, and of what an application did beside."""
    here = Path(__file__).parents[2] / folder
    folder_of = here if folder == "sample_traces" else request.getfixturevalue("recordings") / folder
    ingest(store, [folder_of], is_derived_later=True)
    unread = _assert_nothing_is_missed(store)
    assert folder != "otlp_traces" or unread > 0
