"""What Claude Code sends over OTLP: log events and metrics, alone and beside a session file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from claude_code_telemetry import AT, MODEL, event, logs, pairs, request_event, session
from toolspend_ingest import Store, ingest
from toolspend_ingest.decode import Decoded, Media, decode
from toolspend_ingest.signals import decode_logs, decode_metrics
from toolspend_ingest.spans import SpanBatch

Rows = Callable[[str], list[dict[str, Any]]]
Json = dict[str, Any]
CONSERVED = (Path(__file__).parents[2] / "conservation.sql").read_text(encoding="utf-8")
ENCODINGS: tuple[Media, ...] = ("json", "protobuf")


def metrics(
    *tokens: tuple[str, int],
    session: str | None = "session-1",
    at_s: float = 60,
    from_s: float = 0,
    temporality: int = 1,
) -> Json:
    """An export of the token metric: `tokens` by type."""
    named = {"session.id": session} if session else {}
    points = [
        {
            "attributes": pairs({"type": kind, "model": MODEL, **named}),
            "startTimeUnixNano": str(int((AT + from_s) * 1e9)),
            "timeUnixNano": str(int((AT + at_s) * 1e9)),
            "asDouble": count,
        }
        for kind, count in tokens
    ]
    total = {"aggregationTemporality": temporality, "isMonotonic": True, "dataPoints": points}
    cost = {"name": "claude_code.cost.usage", "sum": {**total, "dataPoints": points[:1]}}
    scoped = {
        "scope": {"name": "com.anthropic.claude_code"},
        "metrics": [{"name": "claude_code.token.usage", "sum": total}, cost],
    }
    return {"resourceMetrics": [{"resource": {"attributes": []}, "scopeMetrics": [scoped]}]}


def read(request: Json, media: Media = "json") -> Decoded:
    """The request through the decoder of its signal, in the encoding given."""
    if "resourceLogs" in request:
        message: Any = ExportLogsServiceRequest()
        decoder = decode_logs
    else:
        message, decoder = ExportMetricsServiceRequest(), decode_metrics
    payload = json.dumps(request).encode() if media == "json" else ParseDict(request, message).SerializeToString()
    return decoder(payload, media)


def store_all(store: Store, requests: Sequence[Json]) -> None:
    for request in requests:
        decoded = read(request)
        assert not decoded.refused
        store.append(SpanBatch(decoded.spans), "otlp", "otlp", None)
    assert store.cursor().execute(CONSERVED).fetchall() == []


@pytest.mark.parametrize("media", ENCODINGS)
def test_events_are_requests_and_tool_runs(store: Store, rows: Rows, media: Media) -> None:
    """Numbers come as numbers or as text; the input tokens leave the cache out."""
    decoded = read(
        logs(
            event("user_prompt", prompt_length="12", prompt="<REDACTED>"),
            request_event(1, 1.0, query_source="subagent", user__id="u1"),
            event("tool_decision", 1.2, tool_name="Bash", decision="accept"),
            event("tool_result", 2.0, tool_name="mcp_tool", tool_use_id="call-1", success="false", duration_ms=500,
                  tool_input_size_bytes=30, tool_result_size_bytes="700", error_type="timeout",
                  tool_parameters='{"mcp_server_name":"tracker","mcp_tool_name":"list__all"}'),
            event("api_error", 3.0, model=MODEL, status_code=529, attempt=10, error="Overloaded"),
        ),
        media,
    )  # fmt: skip
    assert (len(decoded.spans), decoded.passed_over, decoded.skipped, decoded.refused) == (3, {"logs": 2}, 0, [])
    store.append(decoded.spans, "otlp", "otlp", None)
    assert rows(
        "select session_id, agent, model, uncached_tokens, cache_read_tokens, cache_write_5m_tokens, output_tokens,"
        " duration_ms, status, error_type, cost_usd > 0 as is_billed from llm_requests order by started_at"
    ) == [
        {
            "session_id": "session-1",
            "agent": "subagent",
            "model": MODEL,
            "uncached_tokens": 10,
            "cache_read_tokens": 20_000,
            "cache_write_5m_tokens": 80,
            "output_tokens": 60,
            "duration_ms": 900.0,
            "status": "unset",
            "error_type": None,
            "is_billed": True,
        },
        {
            "session_id": "session-1",
            "agent": None,
            "model": MODEL,
            "uncached_tokens": 0,
            "cache_read_tokens": 0,
            "cache_write_5m_tokens": 0,
            "output_tokens": 0,
            "duration_ms": 0.0,
            "status": "error",
            "error_type": "529",
            "is_billed": False,
        },
    ]
    assert rows("select tool, server, status, error_type, duration_ms, tool_call_id from tool_calls") == [
        {
            "tool": "mcp__tracker__list__all",
            "server": "tracker",
            "status": "error",
            "error_type": "timeout",
            "duration_ms": 500.0,
            "tool_call_id": "call-1",
        }
    ]
    assert store.cursor().execute(CONSERVED).fetchall() == []


def test_both_encodings_give_the_same_rows() -> None:
    """Also through the decoder that is not told which signal it gets."""
    for request in (logs(request_event(1, 1.0)), metrics(("input", 5), ("output", 6))):
        as_json, as_protobuf = read(request), read(request, "protobuf")
        assert as_json.spans.rows == as_protobuf.spans.rows
        assert as_json.passed_over == as_protobuf.passed_over
        guessed = decode(json.dumps(request).encode(), "json")
        assert guessed.spans.rows == as_json.spans.rows


def test_a_batch_that_is_sent_again_changes_nothing(store: Store, rows: Rows) -> None:
    """A record is the same by its request's id, else by its time and number."""
    batch = logs(
        request_event(1, 1.0), request_event(2, 2.0, request_id="", event__sequence=7), event("tool_result", 3.0)
    )
    store_all(store, [batch, batch, logs(request_event(1, 1.0))])
    assert rows(
        "select (select count(*) from llm_requests) as requests, (select count(*) from tool_calls) as calls"
    ) == [{"requests": 2, "calls": 1}]


def test_records_of_others_are_counted_and_no_spans() -> None:
    """Any application may send its logs and metrics here."""
    record = {"timeUnixNano": "1", "body": {"stringValue": "started"}, "attributes": []}
    for media in ENCODINGS:
        decoded = read(logs(record, record, scope="some.library"), media)
        assert (len(decoded.spans), decoded.passed_over, decoded.skipped) == (0, {"logs": 2}, 1)
        gauge = {"name": "load", "gauge": {"dataPoints": [{"asDouble": 1.5, "timeUnixNano": "1"}]}}
        other = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [gauge]}]}]}
        assert read(other, media).passed_over == {"metrics": 1}


def test_a_bad_record_costs_only_itself() -> None:
    """One without a session and one that is misshapen are refused, the one beside them counts."""
    nameless = event("api_request", session=None, model=MODEL)
    broken = {**event("api_request"), "attributes": [{"value": {}}]}
    untimed = {**event("tool_result"), "timeUnixNano": "soon"}
    decoded = read(logs(nameless, broken, request_event(1, 1.0), untimed))
    assert (len(decoded.spans), len(decoded.refused)) == (1, 3)
    assert decode_logs(b"\xff\xff", "protobuf").refused
    assert decode_metrics(b"\xff\xff", "protobuf").refused
    assert read(metrics(("input", 5), session=None)).refused


@pytest.mark.parametrize(("decoder", "lacks"), [(decode_logs, "resourceLogs"), (decode_metrics, "resourceMetrics")])
def test_other_json_is_told_what_it_lacks(decoder: Any, lacks: str) -> None:
    """What was sent as logs lacks the logs, not the spans."""
    for body in (b'{"a": 1}', b"[]", b"7"):
        assert [str(each) for each in decoder(body, "json").refused] == [f"not an OTLP request: it has no {lacks}"]


@pytest.mark.parametrize("is_first", [True, False], ids=["file first", "events first"])
def test_an_event_of_a_request_that_the_session_file_has_is_billed_once(
    store: Store, rows: Rows, tmp_path: Path, is_first: bool
) -> None:
    """The file says what the prompt was made of, so its row counts, with the time that the event says the tool took.

    A request that only the event tells of, as for a title, is billed too.
    """
    path = session(tmp_path / "session-1.jsonl")
    batch = logs(
        request_event(1, 1.0),
        event("tool_result", 2.0, tool_name="Bash", tool_use_id="call-1", success="true", duration_ms=12),
        request_event(2, 4.0, input_tokens=150, output_tokens=5),
        event("api_request", 5.0, model="claude-haiku-4-5", input_tokens=300, output_tokens=9, request_id="req_title"),
    )
    if is_first:
        ingest(store, [path])
    store_all(store, [batch])
    if not is_first:
        ingest(store, [path])
    assert rows("select model, count(*) as n, count(response_id) filter (response_id like 'msg%') as of_file,"
                " sum(output_tokens)::bigint as output from llm_requests group by model order by 2 desc") == [
        {"model": MODEL, "n": 2, "of_file": 2, "output": 65},
        {"model": "claude-haiku-4-5", "n": 1, "of_file": 0, "output": 9},
    ]  # fmt: skip
    assert rows("select tool, duration_ms, result_tokens > 50 as is_measured from tool_calls") == [
        {"tool": "Bash", "duration_ms": 12.0, "is_measured": True}
    ]
    assert store.cursor().execute(CONSERVED).fetchall() == []


def test_an_event_without_a_duration_leaves_the_one_of_the_session_file(
    store: Store, rows: Rows, tmp_path: Path
) -> None:
    """What is not said is not nothing."""
    ingest(store, [session(tmp_path / "session-1.jsonl")])
    (before,) = rows("select duration_ms from tool_calls")
    store_all(store, [logs(event("tool_result", 2.0, tool_name="Bash", tool_use_id="call-1", success="true"))])
    assert before["duration_ms"] > 0
    assert rows("select duration_ms from tool_calls") == [before]


def test_events_that_name_no_request_give_way_to_the_session_file(store: Store, rows: Rows, tmp_path: Path) -> None:
    """Where nothing tells which is which, the same request could be billed twice: it is not."""
    ingest(store, [session(tmp_path / "session-1.jsonl")])
    store_all(store, [logs(request_event(1, 1.0, request_id=""), event("tool_result", 2.0, tool_name="Bash"))])
    assert rows(
        "select (select count(*) from llm_requests) as requests, (select count(*) from tool_calls) as calls"
    ) == [{"requests": 2, "calls": 1}]


def test_metrics_count_where_nothing_else_tells_of_the_session(store: Store, rows: Rows) -> None:
    """As one request for each model and interval; once events arrive, they are left out, whatever came first."""
    first = metrics(("input", 10), ("output", 60), ("cacheRead", 20_000), ("cacheCreation", 80))
    second = metrics(("output", 5), at_s=120)
    store_all(store, [first, second, first])
    assert rows("select count(*) as n, sum(input_tokens)::bigint as input, sum(output_tokens)::bigint as output"
                " from llm_requests") == [{"n": 2, "input": 20_090, "output": 65}]  # fmt: skip
    store_all(store, [logs(request_event(1, 1.0))])
    assert rows("select count(*) as n, sum(output_tokens)::bigint as output from llm_requests") == [
        {"n": 1, "output": 60}
    ]
    store_all(store, [metrics(("output", 7), at_s=180)])
    assert rows("select count(*) as n from llm_requests") == [{"n": 1}]


def test_a_metric_that_counts_since_the_beginning_is_not_summed(store: Store, rows: Rows) -> None:
    """Each export repeats the whole: the last one is the bill."""
    exports = [metrics(("input", 10 * n), ("output", n), at_s=60 * n, temporality=2) for n in (1, 2, 3)]
    store_all(store, [exports[0], exports[2], exports[1]])
    assert rows("select count(*) as n, sum(input_tokens)::bigint as input, sum(output_tokens)::bigint as output"
                " from llm_requests") == [{"n": 1, "input": 30, "output": 3}]  # fmt: skip


@pytest.mark.parametrize("is_together", [True, False])
def test_a_session_that_went_on_in_another_process_has_the_metrics_of_both(
    store: Store, rows: Rows, is_together: bool
) -> None:
    """A sum since the beginning begins anew there; a collector may send both at once. Each is billed once."""
    of_both = [
        [metrics(("input", 30), ("output", 15), at_s=60 * n, temporality=2) for n in (1, 2)],
        [metrics(("input", 4), ("output", 2), at_s=560, from_s=500, temporality=2)],
    ]
    exports = [each for listed in of_both for each in listed]
    if is_together:
        exports = [{"resourceMetrics": [owner for each in exports for owner in each["resourceMetrics"]]}]
    store_all(store, [*exports, *exports])
    assert rows("select input_tokens, output_tokens from llm_requests order by started_at") == [
        {"input_tokens": 30, "output_tokens": 15},
        {"input_tokens": 4, "output_tokens": 2},
    ]


def test_types_of_one_interval_that_come_apart_are_billed_both(store: Store, rows: Rows) -> None:
    """A collector that bounds its batches may cut between two points of one time."""
    parts = [metrics(("input", 10), ("cacheRead", 200)), metrics(("output", 5))]
    store_all(store, [*parts, *parts])
    assert rows("select sum(input_tokens)::bigint as input, sum(output_tokens)::bigint as output"
                " from llm_requests") == [{"input": 210, "output": 5}]  # fmt: skip
