"""From spans to rows: what the vocabularies and the session make of them, row by row."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from agent_trace import SESSION, agent_spans, chat, tool
from otlp_requests import Made, protobuf
from toolspend import attributes as at
from toolspend_ingest import Store
from toolspend_ingest.decode import decode

Rows = Callable[[str], list[dict[str, Any]]]
START = datetime(2026, 9, 21, 14, 13, 20)


def load(store: Store, spans: list[Made]) -> None:
    store.append(decode(protobuf(spans), "protobuf").spans, "test", "test", None)


def test_a_request_is_one_whole_row(store: Store, rows: Rows) -> None:
    """Everything that an enriched native span says lands in its column."""
    span = chat(
        1,
        2,
        0,
        1,
        scope="com.anthropic.sdk.python",
        attributes={
            at.TIME_TO_FIRST_CHUNK: 0.25,
            at.ANTHROPIC_CACHE_WRITE_5M: 200,
            at.ANTHROPIC_CACHE_WRITE_1H: 100,
            at.THINKING_TOKENS: 12,
            at.USAGE_WEB_SEARCHES: 2,
            at.ANTHROPIC_SERVICE_TIER: "standard",
            at.AGENT_NAME: "researcher",
            at.USER_ID: "u-1",
            at.SESSION_TAGS: ["eval"],
        },
    )
    load(store, [span])
    (row,) = rows("from llm_requests")
    assert row == {
        "request_id": span.span_id,
        "trace_id": span.trace_id,
        "session_id": SESSION,
        "service": "agent",
        "agent": "researcher",
        "provider": "anthropic",
        "model": "claude-sonnet-4-5-20250929",
        "price_model": "anthropic/claude-sonnet-4-5",
        "response_id": "msg_1",
        "scope": "com.anthropic.sdk.python",
        "started_at": START,
        "duration_ms": 1000.0,
        "time_to_first_token_ms": 250.0,
        "input_tokens": 1000,
        "uncached_tokens": 100,
        "cache_read_tokens": 600,
        "cache_write_5m_tokens": 200,
        "cache_write_1h_tokens": 100,
        "output_tokens": 80,
        "thinking_tokens": 12,
        "web_searches": 2,
        "tools_offered": None,
        "stop_reason": "end_turn",
        "status": "ok",
        "error_type": None,
        "service_tier": "standard",
        "inference_geo": None,
        "user_id": "u-1",
        "tags": ["eval"],
        "compressed_tool": None,
        "advising_tool": None,
        # 100 input, 600 read, 200 and 100 written, 80 output, at 3, 0.3, 3.75, 6 and 15 dollars, and two searches.
        "cost_usd": Decimal("0.023030000"),
        "is_priced": True,
        "is_usage_known": True,
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({at.INPUT_TOKENS: 130213, at.CACHE_READ_TOKENS: 128955, at.CACHE_WRITE_TOKENS: 1253}, (130213, 5, 1253)),
        (
            {
                at.INPUT_TOKENS: 130213,
                at.CACHE_READ_TOKENS: 128955,
                "gen_ai.usage.cache_creation.input_tokens": 1253,
                at.CACHE_WRITE_TOKENS: None,
            },
            (130213, 5, 1253),
        ),
        ({at.INPUT_TOKENS: 7, at.CACHE_READ_TOKENS: None, at.CACHE_WRITE_TOKENS: None}, (7, 7, 0)),
    ],
)
def test_cache_tokens_are_not_counted_twice(
    store: Store, rows: Rows, said: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    """5 uncached, 128,955 read and 1,253 written are the same from every way to say them."""
    span = chat(1, 2, 0, 1, attributes=said)
    span.attributes = {key: value for key, value in span.attributes.items() if value is not None}
    load(store, [span])
    (row,) = rows("select input_tokens, uncached_tokens, cache_write_5m_tokens from llm_requests")
    assert tuple(row.values()) == expected


def test_a_response_cut_off_has_unknown_usage(store: Store, rows: Rows) -> None:
    """Without output tokens, or without any, nothing is zero."""
    spans = [chat(1, 1, 0, 1), chat(1, 2, 1, 2), chat(1, 3, 2, 3)]
    del spans[0].attributes[at.OUTPUT_TOKENS]  # type: ignore[attr-defined]
    for name in (at.INPUT_TOKENS, at.OUTPUT_TOKENS, at.CACHE_READ_TOKENS, at.CACHE_WRITE_TOKENS):
        del spans[1].attributes[name]  # type: ignore[attr-defined]
    load(store, spans)
    found = rows("select input_tokens, output_tokens, is_usage_known from llm_requests order by started_at")
    assert [tuple(row.values()) for row in found] == [(1000, None, False), (None, None, False), (1000, 80, True)]


def test_compactions_are_added_once(store: Store, rows: Rows) -> None:
    """Tokens of hidden iterations come on top, whether said in full or as the SDK's sums, and never twice."""
    zero = {at.INPUT_TOKENS: 0, at.OUTPUT_TOKENS: 0, at.CACHE_READ_TOKENS: 0, at.CACHE_WRITE_TOKENS: 0}
    sums = {
        "anthropic.usage.compaction.input_tokens": 83555,
        "anthropic.usage.compaction.output_tokens": 139,
    }
    iterations = [
        {"type": "compaction", "input_tokens": 83555, "output_tokens": 139},
        {"type": "message", "input_tokens": 9, "output_tokens": 9},
    ]
    both = {at.USAGE_ITERATIONS: json.dumps(iterations), **sums}
    load(store, [chat(1, 1, 0, 1, attributes=zero | sums), chat(1, 2, 1, 2, attributes=zero | both)])
    found = rows("select input_tokens, output_tokens from llm_requests")
    assert [tuple(row.values()) for row in found] == [(83555, 139), (83555, 139)]


def test_a_response_is_billed_once_and_by_its_fullest_span(store: Store, rows: Rows) -> None:
    """Of a gateway's and the SDK's span for one response, and a copy in a resumed session, one remains."""
    poor = Made(1, 1, "chat", {at.OPERATION: "chat", at.RESPONSE_ID: "msg_1"}, scope="toolspend")
    full = chat(1, 2, 0, 1, parent=1)
    copy = chat(2, 3, 50, 1, attributes={at.CONVERSATION_ID: "resumed"})
    load(store, [copy])
    load(store, [poor])
    load(store, [full])
    assert [row["request_id"] for row in rows("from llm_requests")] == [full.span_id]
    assert rows("select distinct session_id from context_ledger") == [{"session_id": SESSION}]


def test_a_nested_failure_without_a_response_is_one_request(store: Store, rows: Rows) -> None:
    """A wrapper's span around the SDK's tells of the same failed request."""
    failed = {at.OPERATION: "chat", at.PROVIDER: "anthropic", at.REQUEST_MODEL: "no-such-model"}
    outer = Made(1, 1, "chat", failed, status="error")
    inner = Made(1, 2, "anthropic.messages.create", {**failed, at.ERROR_TYPE: "not_found_error"}, 1, status="error")
    load(store, [outer, inner])
    (row,) = rows("from llm_requests")
    assert (row["request_id"], row["error_type"], row["cost_usd"]) == (inner.span_id, "not_found_error", 0)


def test_the_agents_session_has_these_rows(store: Store, rows: Rows) -> None:
    """Requests, calls, the batch, the selection, the compression and the definitions of a whole session."""
    spans = agent_spans()
    load(store, spans)
    first, second = spans[2].span_id, spans[-1].span_id
    requests = rows("select request_id, agent, user_id, tools_offered, compressed_tool from llm_requests order by all")
    assert [tuple(row.values()) for row in requests] == [
        (first, "researcher", "u-17", 2, None),
        (spans[7].span_id, "researcher", "u-17", None, "search"),
        (second, None, None, 2, None),
    ]
    calls = rows(
        "select span_id, request_id, session_id, tool, tool_call_id, tool_version, server, batch_id, status, "
        "error_type, argument_chars, result_chars, is_on_critical_path from tool_calls order by tool desc"
    )
    common = {"request_id": first, "session_id": SESSION, "batch_id": "batch-1"}
    assert calls == [
        {
            **common,
            "span_id": spans[4].span_id,
            "tool": "search",
            "tool_call_id": "call_a",
            "tool_version": "aaaaaaaaaaaa",
            "server": "library",
            "status": "ok",
            "error_type": None,
            "argument_chars": 30,
            "result_chars": 400,
            "is_on_critical_path": True,
        },
        {
            **common,
            "span_id": spans[5].span_id,
            "tool": "fetch",
            "tool_call_id": "call_b",
            "tool_version": "bbbbbbbbbbbb",
            "server": None,
            "status": "error",
            "error_type": "tool_error",
            "argument_chars": 35,
            "result_chars": 20,
            "is_on_critical_path": False,
        },
    ]
    assert rows("from tool_batches") == [
        {
            "batch_id": "batch-1",
            "trace_id": spans[0].trace_id,
            "session_id": SESSION,
            "started_at": START + timedelta(seconds=3),
            "calls": 2,
            "failed": 1,
            "wall_ms": 2000.0,
            "sequential_ms": 3000.0,
            "speedup": 1.5,
        }
    ]
    assert rows("select task_type, candidates, selected, offered_chars, avoided_chars from tool_selections") == [
        {"task_type": "research", "candidates": 9, "selected": 2, "offered_chars": 350, "avoided_chars": 1400}
    ]
    assert rows("select is_unsure from tool_selections") == [{"is_unsure": True}]
    assert rows("select tool, tool_call_id, strategy, chars_before, chars_after from compressions") == [
        {"tool": "search", "tool_call_id": "call_a", "strategy": "model", "chars_before": 4000, "chars_after": 400}
    ]
    assert rows("select tool, tool_version, description from tool_definitions") == [
        {"tool": "search", "tool_version": "aaaaaaaaaaaa", "description": "Find."}
    ]


def test_calls_without_a_span_are_known_from_the_response(store: Store, rows: Rows) -> None:
    """Parallel calls that nobody traced are rows and a batch; a server's tool is marked as the provider's."""
    asked = [
        ["c", 9, "a", "c1"],
        ["c", 9, "b", "c2"],
        ["c", 9, "web_search", "c3", "s"],
        ["r", 99, "web_search", "c3", "s"],
    ]
    results = [["r", 5, "a", "c1"], ["r", 6, "b", "c2", "e"]]
    first = chat(1, 1, 0, 1, attributes={at.OUTPUT_SEGMENTS: json.dumps(asked), at.CONTEXT_DELTA: "[]"})
    later = chat(2, 2, 9, 2, attributes={at.CONTEXT_DELTA: json.dumps([*asked, *results])})
    load(store, [first, later])
    found = rows("select tool, status, server, batch_id, duration_ms, started_at from tool_calls order by tool")
    at_end = START + timedelta(seconds=1)
    assert [tuple(row.values()) for row in found] == [
        ("a", "ok", None, first.span_id, None, at_end),
        ("b", "error", None, first.span_id, None, at_end),
        ("web_search", "ok", "anthropic", None, None, at_end),
    ]
    (batch,) = rows("select calls, failed, wall_ms, speedup from tool_batches")
    assert tuple(batch.values()) == (2, 1, None, None)


def test_a_run_without_an_id_is_the_open_call_of_its_name(store: Store, rows: Rows) -> None:
    """An MCP server's span knows no call id: it is the call that was asked for, not a second one."""
    asked = [["c", 9, "mcp__books__find", "c1"], ["c", 9, "mcp__books__find", "c2"]]
    request = chat(1, 1, 0, 1, attributes={at.OUTPUT_SEGMENTS: json.dumps(asked)})
    runs = [
        Made(2, n, "tools/call find", {at.MCP_METHOD: "tools/call"}, at_s=n, scope="mcp-python-sdk", kind="server")
        for n in (2, 3)
    ]
    load(store, [request, *runs, Made(2, 4, "tools/list", {at.MCP_METHOD: "tools/list"}, scope="mcp-python-sdk")])
    unlinked = rows("select tool, tool_call_id from tool_calls order by all")
    assert len(unlinked) == 4, "the server's trace names no session: its calls cannot be tied"
    load(store, [Made(2, 9, "root", {at.CONVERSATION_ID: SESSION})])
    tied = rows("select tool, tool_call_id, server, request_id, span_id from tool_calls order by tool_call_id")
    assert [tuple(row.values()) for row in tied] == [
        ("mcp__books__find", "c1", "books", request.span_id, runs[0].span_id),
        ("mcp__books__find", "c2", "books", request.span_id, runs[1].span_id),
    ]


def test_a_tool_within_a_tool_is_a_call_of_its_own(store: Store, rows: Rows) -> None:
    """Another tool, or the same one for another call, is not folded into the one around it."""
    load(
        store,
        [tool(1, 1, "outer", "c1", 0), tool(1, 2, "inner", None, 1, parent=1), tool(1, 3, "outer", "c9", 2, parent=1)],
    )
    assert len(rows("from tool_calls")) == 3


def test_a_session_is_the_spans_own_its_ancestors_or_the_only_one(store: Store, rows: Rows) -> None:
    """The names for a session in their order, each inherited, and the trace where none is named."""
    load(
        store,
        [
            Made(1, 1, "root", {at.SESSION_ID_STANDARD: "weak"}),
            chat(1, 2, 0, 1, parent=1),
            tool(1, 3, "a", None, 0, parent=1),
            Made(2, 4, "root", {at.SESSION_ID: "ticket"}),
            chat(2, 5, 0, 2, parent=4),
            tool(3, 6, "b", None, 0),
            tool(4, 7, "c", None, 0, parent=8),
            Made(4, 8, "ring", {}, parent=7),
        ],
    )
    found = rows(
        "select tool as what, session_id from tool_calls union all select response_id, session_id from llm_requests"
    )
    assert {row["what"]: row["session_id"] for row in found} == {
        "a": SESSION,
        "msg_1": SESSION,
        "msg_2": "ticket",
        "b": f"{3:032x}",
        "c": f"{4:032x}",
    }


def test_an_empty_name_names_no_session(store: Store, rows: Rows) -> None:
    """Not one of all work whose name is empty either: such a request is its trace's, or of whom is above it."""
    named = {at.OPERATION: "chat", at.CONVERSATION_ID: "ticket-1"}
    nameless = {at.OPERATION: "chat", at.CONVERSATION_ID: ""}
    others = {at.OPERATION: "chat", at.CONVERSATION_ID: "ticket-2"}
    turn = Made(1, 1, "turn", {at.CONVERSATION_ID: "ticket-1"})
    load(store, [turn, Made(1, 2, "chat", nameless, parent=1), Made(2, 3, "chat", nameless),
                 Made(2, 4, "chat", others), Made(2, 5, "chat", named)])  # fmt: skip
    found = {int(row["request_id"], 16): row["session_id"] for row in rows("from llm_requests")}
    assert found == {2: "ticket-1", 3: f"{2:032x}", 4: "ticket-2", 5: "ticket-1"}


def test_what_nobody_vouches_for_is_unknown(store: Store, rows: Rows) -> None:
    """A span whose token counts may mean one thing or the other is a request, and its prompt is not known."""
    load(store, [chat(1, 1, 0, 1, scope="somebody.else"), Made(1, 2, "GET /", {"http.route": "/"}, scope="web")])
    assert len(rows("from spans")) == 2
    (row,) = rows("select input_tokens, uncached_tokens, cache_read_tokens, output_tokens, is_usage_known "
                  "from llm_requests")  # fmt: skip
    assert tuple(row.values()) == (None, None, 600, 80, False)


def test_misshapen_evidence_is_no_evidence(store: Store, rows: Rows) -> None:
    """Attributes of the right names and the wrong shapes cost accuracy, never the load."""
    bad = {
        at.CONTEXT_DELTA: '{"not": "a list"}',
        at.OUTPUT_SEGMENTS: '[["c"], 3, [1, 2], ["c", "x"], ["c", 1, "t", 5]]',
        at.CONTEXT_RESTATED: "[[",
        at.TOOL_DEFINITIONS: '[3, {"name": "x"}]',
        at.USAGE_ITERATIONS: '{"a": 1}',
        at.FINISH_REASONS: "stop",
        at.SESSION_TAGS: "eval",
    }
    load(store, [chat(1, 1, 0, 1, attributes=bad), chat(1, 2, 1, 2, attributes={at.CONTEXT_DELTA: "[[0, 99]]"})])
    assert len(rows("from llm_requests")) == 2
    assert rows("select delta, restated from context_evidence where request_id like '%1'") == [
        {"delta": None, "restated": None}
    ]


def test_evidence_in_one_attribute_says_what_single_ones_do(store: Store, rows: Rows) -> None:
    """The form that agents write and the one of before give the same row; one that is no object gives none."""
    said = {
        "delta": [[0, 2], ["u", 7]],
        "segments": 3,
        "chars": 20,
        "restated": [[0, ["u", 5]]],
        "cache_marks": [[2, "5m"]],
    }
    single = {
        at.CONTEXT_BASE: f"{9:016x}",
        at.CONTEXT_SEGMENTS: 3,
        at.CONTEXT_CHARS: 20,
        at.CONTEXT_DELTA: json.dumps(said["delta"]),
        at.CONTEXT_RESTATED: json.dumps(said["restated"]),
        at.CONTEXT_CACHE_MARKS: json.dumps(said["cache_marks"]),
    }
    one = {at.CONTEXT_EVIDENCE: json.dumps({"base": f"{9:016x}", **said})}
    forms = [single, one, {at.CONTEXT_EVIDENCE: "[1]"}, {at.CONTEXT_EVIDENCE: '{"delta": 3, "segments": "x"}'}]
    load(store, [chat(1, number, number, number, attributes=form) for number, form in enumerate(forms, 1)])
    found = rows("select base_request_id, delta, restated, segments, chars, cache_marks from context_evidence "
                 "order by started_at")  # fmt: skip
    assert found[0] == found[1] and found[0]["segments"] == 3 and found[0]["base_request_id"] == f"{9:016x}"
    assert len(found) == 2
