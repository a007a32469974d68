"""OTLP bytes become span rows, and what is damaged costs only itself."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

import traffic
from otlp_requests import SECOND, START, Made, json_text, protobuf, request
from toolspend_ingest.decode import Media, decode, decode_together
from toolspend_ingest.spans import SpanRow


def one_span() -> Made:
    return Made(1, 2, "chat", {"a": 1, "b": "x", "c": [True, 2.5], "d": float("nan")}, parent=3, status="error")


def test_the_same_span_in_both_encodings_is_the_same_row() -> None:
    """Protobuf and JSON give equal rows, down to the microsecond and the JSON text."""
    expected = SpanRow(
        trace_id="0" * 31 + "1",
        span_id="0" * 15 + "2",
        parent_span_id="0" * 15 + "3",
        name="chat",
        kind="internal",
        service="agent",
        scope="toolspend",
        scope_version="1",
        started_at=datetime(2026, 9, 21, 14, 13, 20),
        ended_at=datetime(2026, 9, 21, 14, 13, 21),
        duration_ms=1000.0,
        status="error",
        status_message=None,
        attributes='{"a":1,"b":"x","c":[true,2.5],"d":"nan"}',
        resource_attributes='{"service.name":"agent"}',
        events="[]",
    )
    assert decode(protobuf([one_span()]), "protobuf").spans.rows == [expected]
    text = json_text([one_span()]).replace("NaN", '"NaN"')
    assert decode(text.encode(), "json").spans.rows == [expected]
    assert decode(text.encode() + b"\n", "jsonl").spans.rows == [expected]


@pytest.mark.parametrize(("hex_id", "size"), [("0af7651916cd43dd8448eb211c80319c", 16), ("b7ad6b7169203331", 8)])
def test_ids_may_be_hex_or_base64(hex_id: str, size: int) -> None:
    """An id in base64, padded or not, is the id that it is in hex."""
    plain = base64.b64encode(bytes.fromhex(hex_id)).decode()
    for text in (hex_id, hex_id.upper(), plain, plain.rstrip("=")):
        span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "s"}
        span["traceId" if size == 16 else "spanId"] = text
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
        (row,) = decode(body.encode(), "json").spans.rows
        assert (row.trace_id if size == 16 else row.span_id) == hex_id


def test_every_kind_of_attribute_is_kept() -> None:
    """Arrays, maps, bytes and nested values become JSON, and a long value is not cut."""
    message = request([Made(1, 2, "s")])
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="bytes").value.bytes_value = b"\x00\xff"
    span.attributes.add(key="long").value.string_value = "é" * 200_000
    span.attributes.add(key="none")
    nested = span.attributes.add(key="map").value.kvlist_value.values.add(key="k")
    nested.value.array_value.values.add().int_value = 7
    event = span.events.add(name="exception", time_unix_nano=START)
    event.attributes.add(key="exception.type").value.string_value = "ValueError"
    (row,) = decode(message.SerializeToString(), "protobuf").spans.rows
    assert json.loads(row.attributes) == {"bytes": "AP8=", "long": "é" * 200_000, "none": None, "map": {"k": [7]}}
    assert json.loads(row.events) == [
        {"name": "exception", "time": "2026-09-21T14:13:20", "attributes": {"exception.type": "ValueError"}}
    ]


def test_times_are_whole_microseconds_and_their_range_is_kept() -> None:
    """The last nanosecond of an unsigned 64-bit clock is stored; beyond it the span is refused."""
    body = {"traceId": "1", "spanId": "2", "name": "s", "startTimeUnixNano": str(2**64 - 1)}
    assert _json_spans(body).spans.rows[0].started_at == datetime(2554, 7, 21, 23, 34, 33, 709551)
    for bad in (str(2**64), "-1", True, "soon", None):
        decoded = _json_spans(body | {"startTimeUnixNano": bad})
        assert len(decoded.refused) == (0 if bad is None else 1)


def test_a_span_that_never_ended_lasts_no_time() -> None:
    """An end of zero is not a negative duration."""
    (row,) = _json_spans({"traceId": "1", "spanId": "2", "startTimeUnixNano": str(START)}).spans.rows
    assert (row.ended_at, row.duration_ms) == (row.started_at, 0.0)


def test_a_bad_span_costs_only_itself() -> None:
    """Of three spans, the one without a usable id is refused by name."""
    good = [{"traceId": "1", "spanId": str(n), "name": f"s{n}"} for n in (1, 2)]
    for bad in ({"name": "bad"}, {"traceId": "1", "spanId": "0", "name": "bad"}, {**good[0], "attributes": 3}):
        bad["name"] = "bad"
        decoded = _json_spans(good[0], bad, good[1])
        assert [row.name for row in decoded.spans] == ["s1", "s2"]
        assert [refusal.where for refusal in decoded.refused] == ["span 'bad'"]


def test_logs_and_metrics_are_passed_over(recordings: Path) -> None:
    """Other signals are counted and are no errors, in JSON and in protobuf."""
    folder = recordings / "otlp_traces"
    examples = folder / "opentelemetry-proto-examples"
    for name in ("logs.json", "metrics.json", "events.json"):
        decoded = decode((examples / name).read_bytes(), "json")
        assert (len(decoded.spans), decoded.skipped, decoded.refused) == (0, 1, [])
    decoded = decode((folder / "otlp2parquet-traces" / "logs.pb").read_bytes(), "protobuf")
    assert (len(decoded.spans), decoded.skipped, decoded.refused) == (0, 1, [])


@pytest.mark.parametrize(("left", "right"), [("trace.json", "trace.pb"), ("traces.jsonl", "traces.pb")])
def test_recorded_traces_decode_alike(recordings: Path, left: str, right: str) -> None:
    """Recordings of one trace in several encodings give the same rows, as many as are stated."""
    folder = recordings / "otlp_traces" / "otlp2parquet-traces"
    stated = json.loads((folder / "expected.json").read_text())["files"]
    media: dict[str, Media] = {".json": "json", ".jsonl": "jsonl", ".pb": "protobuf"}
    decoded = [decode((folder / name).read_bytes(), media[Path(name).suffix]) for name in (left, right)]
    assert sorted(decoded[0].spans.rows) == sorted(decoded[1].spans.rows)
    assert len(decoded[0].spans) == stated[left]["spans"]


def test_malformed_recordings_keep_their_good_records(recordings: Path) -> None:
    """Each malformed file gives its good spans, and names each bad line or span."""
    expected = {
        "duckdb-otlp-malformed/malformed.jsonl": (1, ["line 1", "line 2", "line 4"]),
        "duckdb-otlp-malformed/multifile_malformed_traces.jsonl": (0, ["line 1"]),
        "duckdb-otlp-malformed/traces_nulls.jsonl": (3, []),
        "duckdb-otlp-malformed/traces_large_attrs.jsonl": (1, []),
        "duckdb-otlp-malformed/traces_deep_nesting.jsonl": (1, []),
        "duckdb-otlp-malformed/empty.jsonl": (0, []),
        "duckdb-otlp-malformed/whitespace.jsonl": (0, []),
        "duckdb-otlp-malformed/logs_nulls.jsonl": (0, []),
        "duckdb-otlp-malformed/ts_overflow_logs.jsonl": (0, []),
        "otlp2parquet-invalid/trace_invalid_kind.json": (0, ["span 'test-span'"]),
        "otlp2parquet-invalid/trace_invalid_base64.json": (0, ["span 'test-span'"]),
        "otlp2parquet-invalid/trace_mixed_encoding.json": (0, ["span 'test-span'"]),
        "otlp2parquet-invalid/malformed.json": (0, [""]),
    }
    for name, (spans, refused) in expected.items():
        path = recordings / "malformed_otlp" / name
        decoded = decode(path.read_bytes(), "jsonl" if path.suffix == ".jsonl" else "json")
        assert (len(decoded.spans), [refusal.where for refusal in decoded.refused]) == (spans, refused), name


@pytest.mark.parametrize("media", ["protobuf", "json"])
def test_of_a_truncated_request_every_whole_span_is_kept(media: Media) -> None:
    """Cut anywhere, the spans before the cut are there, and the damage is named unless the cut is between spans."""
    spans = [Made(1, number, f"s{number}", {"n": number}) for number in range(1, 6)]
    payload = protobuf(spans) if media == "protobuf" else json_text(spans).encode()
    whole = decode(payload, media).spans.rows
    ends = [payload.rfind(f"s{number}".encode()) for number in range(1, 6)]
    for cut in range(1, len(payload)):
        decoded = decode(payload[:cut], media)
        assert decoded.spans.rows == whole[: len(decoded.spans)]
        assert len(decoded.spans) >= sum(cut > end for end in ends) - 1
        assert decoded.refused or media == "protobuf"


def test_around_garbled_bytes_every_whole_span_is_kept() -> None:
    """Eight bytes overwritten anywhere cost at most the two spans that they lie in, and a missing span is named."""
    spans = [Made(1, number, f"span {number}", {"text": "x" * 30}) for number in range(1, 8)]
    payload = protobuf(spans)
    whole = set(decode(payload, "protobuf").spans.rows)
    for start in range(len(payload) - 8):
        garbled = payload[:start] + b"\xff" * 8 + payload[start + 8 :]
        decoded = decode(garbled, "protobuf")
        assert len(whole & set(decoded.spans.rows)) >= 5
        assert decoded.refused or len(decoded.spans) == len(spans)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300), st.sampled_from(["protobuf", "json", "jsonl"]))
def test_garbage_is_refused_and_never_raises(payload: bytes, media: Media) -> None:
    """Any bytes give rows or refusals."""
    decode(payload, media)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["traceId", "spanId", "kind", "startTimeUnixNano", "attributes", "events", "status", "name"]),
        _JSON,
    )
)
def test_a_misshapen_span_never_costs_its_neighbour(fields: dict[str, object]) -> None:
    """Whatever one span's fields hold, the good one beside it is kept."""
    decoded = _json_spans(fields, {"traceId": "1", "spanId": "2", "name": "good"})
    assert decoded.spans.rows[-1].name == "good"
    assert len(decoded.spans) + len(decoded.refused) == 2


def test_around_garbled_json_every_whole_span_is_kept() -> None:
    """Text that breaks the document in one span leaves those before and after it, with their resource and scope."""
    spans = [
        {"traceId": "1", "spanId": str(n), "name": f"s{n}", "links": [{"traceId": "9", "spanId": "9"}]}
        for n in (1, 2, 3)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "agent"}}]}
    text = json.dumps(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "x"}, "spans": spans}]}]}
    )
    whole = decode(text.encode(), "json").spans.rows
    for broken in (
        text.replace('"s2"', '"s2'),
        text.replace('"s2"', '"\xff\x00}}'),
        text.replace('"s2"', "[" * 50_000),
    ):
        decoded = decode(broken.encode(), "json")
        assert decoded.spans.rows == [whole[0], whole[2]]
        assert len(decoded.refused) == 1


def test_deep_nesting_is_refused_in_words() -> None:
    """A document nested beyond what can be read is one refusal."""
    decoded = decode(b'{"resourceSpans":' + b"[" * 100_000, "json")
    assert len(decoded.refused) >= 1
    assert not len(decoded.spans)


def test_a_lone_surrogate_does_not_cost_the_span() -> None:
    """Text that UTF-8 cannot hold is replaced."""
    decoded = _json_spans({"traceId": "1", "spanId": "2", "name": "\ud800", "attributes": [{"key": "\udfff"}]})
    assert [row.name for row in decoded.spans] == ["?"]


def _json_spans(*spans: object):  # type: ignore[no-untyped-def]
    return decode(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode(), "json")


def test_nanoseconds_make_the_duration() -> None:
    """A span shorter than a microsecond has a duration."""
    body = {"traceId": "1", "spanId": "2", "startTimeUnixNano": str(START), "endTimeUnixNano": str(START + 250)}
    assert _json_spans(body).spans.rows[0].duration_ms == 250 / SECOND * 1000


def test_several_requests_are_decoded_as_each_alone(recordings: Path) -> None:
    """Also where one of them is damaged, empty, or of another signal."""
    whole = [body for body, _ in traffic.batches(0, 1, 2_000)]
    logs = ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[LogRecord(time_unix_nano=1)])])]
    ).SerializeToString()
    for payloads in (whole, [whole[0], whole[1][:-7], whole[2]], [*whole[:2], b""], [logs, *whole[:2]], whole[:1]):
        found = decode_together(payloads)
        expected = [decode(payload, "protobuf") for payload in payloads]
        assert [list(each.spans) for each in found] == [list(each.spans) for each in expected]
        assert [each.refused for each in found] == [each.refused for each in expected]
        assert [each.passed_over for each in found] == [each.passed_over for each in expected]
