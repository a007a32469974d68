"""Lines and records of any form: none crashes the loading, and what is whole beside them counts."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from toolspend_ingest.claude_code.transcript import read
from toolspend_ingest.decode import decode
from toolspend_ingest.signals import decode_logs, decode_metrics
from toolspend_ingest.spans import SpanBatch
from transcript_lines import Transcript, text, usage, use

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def session() -> list[Any]:
    """Lines of every kind."""
    written = Transcript()
    written.user("Please look.")
    written.assistant(
        [{"type": "thinking", "thinking": "", "signature": "S"}, use("c1", "Task", prompt="p", subagent_type="x")],
        usage(9, 9, write_5m=900, server_tool_use={"web_search_requests": 1}, iterations=[{"type": "message"}]),
        message_id="m1",
    )
    written.result("c1", [text("a"), {"type": "image", "source": {"data": "aGk="}}], toolUseResult={"durationMs": 3})
    written.line("attachment", attachment={"type": "todo_reminder", "content": "x"})
    written.compact("All in all.")
    written.assistant([text("API Error: 529 {}")], usage(0, 0), message_id="e", model="<synthetic>",
                      isApiErrorMessage=True)  # fmt: skip
    written.assistant([text("Right.")], usage(9, 9, read=900), message_id="m2")
    return written.lines


TELEMETRY: list[Any] = [
    {
        "resourceLogs": [
            {
                "resource": {"attributes": [{"key": "session.id", "value": {"stringValue": "s"}}]},
                "scopeLogs": [
                    {
                        "scope": {"name": "com.anthropic.claude_code.events"},
                        "logRecords": [
                            {
                                "timeUnixNano": "1790000000000000000",
                                "body": {"stringValue": f"claude_code.{name}"},
                                "attributes": [
                                    {"key": key, "value": {"stringValue": "5"}}
                                    for key in ("session.id", "input_tokens", "duration_ms", "tool_parameters")
                                ],
                            }
                            for name in ("api_request", "tool_result", "api_error", "user_prompt")
                        ],
                    }
                ],
            }
        ]
    },
    {
        "resourceMetrics": [
            {
                "scopeMetrics": [
                    {
                        "metrics": [
                            {
                                "name": "claude_code.token.usage",
                                "sum": {
                                    "aggregationTemporality": 1,
                                    "dataPoints": [
                                        {
                                            "timeUnixNano": "1790000000000000000",
                                            "asInt": "5",
                                            "attributes": [
                                                {"key": "session.id", "value": {"stringValue": "s"}},
                                                {"key": "type", "value": {"stringValue": "input"}},
                                            ],
                                        }
                                    ],
                                },
                            }
                        ]
                    }
                ]
            }
        ]
    },
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value within a value."""
    within = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in within for place in places(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """A copy with another value at one place."""
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


LINES = session()
LINE_PLACES = [(number, path) for number, line in enumerate(LINES) for path in places(line)]


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(LINE_PLACES), ANYTHING), min_size=1, max_size=3))
def test_lines_of_any_form_are_read_or_refused(changes: list[tuple[tuple[int, tuple[Any, ...]], Any]]) -> None:
    """Any values anywhere: there are spans that the store takes, and refusals that name their line."""
    lines = list(LINES)
    for (number, path), by in changes:
        if path in places(lines[number]):
            lines[number] = replaced(lines[number], path, by)
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    spans, refused, end = read(data, 0, "session-1")
    assert end == len(data)
    assert SpanBatch(spans).unique().to_arrow().num_rows == len({(row.trace_id, row.span_id) for row in spans})
    assert all(row.started_at <= row.ended_at and json.loads(row.attributes) for row in spans)
    assert all(each.where.startswith("line ") for each in refused)
    assert spans  # at most three lines were touched


def test_half_a_character_anywhere_is_no_obstacle() -> None:
    """JSON may hold one half of a surrogate pair, which no store takes: it is replaced."""
    for number, path in LINE_PLACES:
        lines = list(LINES)
        lines[number] = replaced(lines[number], path, "\ud83d")
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        spans, _, _ = read(data, 0, "session-1")
        assert SpanBatch(spans).to_arrow().num_rows == len(spans) > 0


@settings(max_examples=300, deadline=None)
@given(
    change=st.sampled_from([(number, path) for number, each in enumerate(TELEMETRY) for path in places(each)]),
    by=ANYTHING,
)
def test_records_of_any_form_are_read_or_refused(change: tuple[int, tuple[Any, ...]], by: Any) -> None:
    """Any value anywhere in a request of logs or metrics."""
    number, path = change
    payload = json.dumps(replaced(TELEMETRY[number], path, by)).encode()
    for decoder in (decode, decode_logs, decode_metrics):
        decoded = decoder(payload, "json")
        assert decoded.spans.to_arrow().num_rows == len(decoded.spans)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_any_form_are_read_or_refused(payload: bytes) -> None:
    """Nothing but spans and refusals comes of them."""
    for decoder in (decode_logs, decode_metrics):
        decoded = decoder(payload, "protobuf")
        assert decoded.spans.to_arrow().num_rows == len(decoded.spans)
    read(payload, 0, "session-1")
