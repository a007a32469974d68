"""Columns straight from the protobuf: the same rows as those made one by one, or left to that way."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

import traffic
from toolspend_ingest import otlp_columns, otlp_protobuf, privacy
from toolspend_ingest.decode import decode
from toolspend_ingest.otlp_values import BadSpan
from toolspend_ingest.spans import SpanBatch, SpanRow, rows_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', "\\", "\x00\n", "é\u2028"]
)
VALUES: st.SearchStrategy[AnyValue] = st.recursive(
    st.just(AnyValue())
    | st.builds(AnyValue, string_value=TEXTS)
    | st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1))
    | st.builds(AnyValue, double_value=st.floats())
    | st.builds(AnyValue, bool_value=st.booleans())
    | st.builds(AnyValue, bytes_value=st.binary(max_size=4)),
    lambda inner: (
        st.builds(lambda values: AnyValue(array_value=ArrayValue(values=values)), st.lists(inner, max_size=3))
        | st.builds(
            lambda pairs: AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=k, value=v) for k, v in pairs])),
            st.lists(st.tuples(TEXTS, inner), max_size=3),
        )
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(["service.name", "session.id", "gen_ai.prompt", 'say "it"', ""]) | TEXTS
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=5, unique_by=lambda pair: pair[0])
TIMES = st.sampled_from([0, 1, 1_790_000_000_123_456_789, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
MADE = st.fixed_dictionaries(
    {
        "trace_id": st.just(b"\x01" * 16) | st.sampled_from([b"", b"\0" * 16, b"1" * 15]),
        "span_id": st.just(b"\x02" * 8) | st.binary(min_size=8, max_size=8),
        "parent_span_id": st.sampled_from([b"", b"\0" * 8, b"\xab" * 8, b"x"]),
        "name": TEXTS,
        "kind": st.integers(0, 5),
        "start_time_unix_nano": TIMES,
        "end_time_unix_nano": TIMES,
        "attributes": PAIRS,
        "events": st.lists(st.tuples(TEXTS, TIMES, PAIRS), max_size=2),
        "status": st.none() | st.tuples(TEXTS, st.integers(0, 2)),
    }
)


def _request(owners: list[tuple[Any, list[tuple[Any, list[dict[str, Any]]]]]]) -> bytes:
    request = ExportTraceServiceRequest()
    for resource, scopes in owners:
        owner = request.resource_spans.add()
        if resource is not None:
            owner.resource.attributes.extend(KeyValue(key=key, value=value) for key, value in resource)
        for scope, spans in scopes:
            held = owner.scope_spans.add()
            if scope is not None:
                held.scope.name, held.scope.version = scope
            for said in spans:
                plain = {name: said[name] for name in said if name not in ("attributes", "events", "status")}
                span = held.spans.add(**plain)
                span.attributes.extend(KeyValue(key=key, value=value) for key, value in said["attributes"])
                for name, time, pairs in said["events"]:
                    event = span.events.add(name=name, time_unix_nano=time)
                    event.attributes.extend(KeyValue(key=key, value=value) for key, value in pairs)
                if said["status"] is not None:
                    span.status.message, span.status.code = said["status"]
    return request.SerializeToString()


def _one_by_one(payload: bytes) -> list[SpanRow | BadSpan]:
    request = ExportTraceServiceRequest.FromString(payload)
    return [row for owner in request.resource_spans for row in otlp_protobuf.rows(owner)]


def _in_columns(payload: bytes) -> list[SpanRow] | None:
    columns = otlp_columns.read(payload)
    return list(rows_of(columns.table)) if columns is not None else None


SCOPES = st.lists(st.tuples(st.none() | st.tuples(TEXTS, TEXTS), st.lists(MADE, max_size=3)), max_size=2)


@settings(deadline=None)
@given(st.lists(st.tuples(st.none() | PAIRS, SCOPES), max_size=2))
def test_columns_are_the_rows_made_one_by_one(owners: Any) -> None:
    """Whatever a request holds: the same rows, or none where any of them cannot be stored."""
    payload = _request(owners)
    expected, found = _one_by_one(payload), _in_columns(payload)
    if any(isinstance(row, BadSpan) for row in expected):
        assert found is None
    elif found is not None:
        assert [repr(row) for row in found] == [repr(row) for row in expected]


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(st.none() | PAIRS, SCOPES), max_size=2), min_size=1, max_size=4))
def test_several_requests_are_read_as_each_alone(requests: Any) -> None:
    """Each its own spans, and of those the ones that may hold content; none where one is read in another way."""
    payloads = list(map(_request, requests))
    alone, together = list(map(otlp_columns.read, payloads)), otlp_columns.read_each(payloads)
    if any(each is None for each in alone):
        assert together is None
    else:
        assert together is not None
        for found, expected in zip(together, alone, strict=True):
            assert expected is not None
            assert found.table.equals(expected.table) or repr(list(rows_of(found.table))) == repr(
                list(rows_of(expected.table))
            )
            assert list(found.suspects) == list(expected.suspects)


def test_ordinary_traffic_is_read_in_columns() -> None:
    """What agents send takes the short way."""
    for body, count in traffic.batches(0, 1, 2_000):
        found = _in_columns(body)
        assert found is not None and len(found) == count
        assert found == _one_by_one(body)


@settings(deadline=None)
@given(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=3))
def test_a_damaged_request_is_left_to_the_careful_way_or_read_alike(place: int, damage: bytes) -> None:
    """Bytes overwritten anywhere: never other rows than those made one by one."""
    body = bytearray(traffic.whole(3))
    place %= len(body)
    body[place : place + len(damage)] = damage
    found = _in_columns(bytes(body))
    if found is not None:
        try:
            expected = _one_by_one(bytes(body))
        except DecodeError:
            pytest.fail("read in columns what protobuf refuses")
        assert found == expected


def test_a_length_beyond_all_bounds_is_damage_and_no_panic() -> None:
    """A large request with a varint of ten bytes for a length: the spans before it are read, the damage is named."""
    whole = b"".join(body for body, _ in traffic.batches(0, 1, 200))
    damaged = whole + b"\x0a" + b"\xff" * 9 + b"\x7f" + b"\x0a\x05"
    assert otlp_columns.read(damaged) is None
    found = decode(damaged, "protobuf")
    assert len(found.spans) == len(decode(whole, "protobuf").spans) > 0
    assert len(found.refused) == 1


def test_spans_with_content_are_known() -> None:
    """Those with the name of content among their attributes, or with events, are looked at before they are stored."""
    base = {"trace_id": b"\x01" * 16, "parent_span_id": b"", "name": "n", "kind": 1, "start_time_unix_nano": 1,
            "end_time_unix_nano": 2, "status": None}  # fmt: skip
    plain = ("http.method", AnyValue(string_value="GET"))
    prompt = ("gen_ai.prompt.0.content", AnyValue(string_value="hello"))
    spans = [
        {**base, "span_id": bytes([place] * 8), "attributes": pairs, "events": events}
        for place, (pairs, events) in enumerate([([plain], []), ([plain, prompt], []), ([], [("e", 1, [])])], 1)
    ]
    columns = otlp_columns.read(_request([(None, [(None, spans)])]))
    assert columns is not None and list(columns.suspects) == [1, 2]


def test_of_several_requests_each_knows_its_spans_with_content() -> None:
    """By their places among its own, wherever the request stands."""
    base = {"trace_id": b"\x01" * 16, "parent_span_id": b"", "name": "n", "kind": 1, "start_time_unix_nano": 1,
            "end_time_unix_nano": 2, "status": None, "events": []}  # fmt: skip
    prompt = ("gen_ai.prompt.0.content", AnyValue(string_value="hello"))
    places = [[1], [], [0, 2], [3]]
    payloads = [
        _request([
            (None, [(None, [])]),
            *(
                (None, [(None, [
                    {**base, "span_id": bytes([place + 1] * 8), "attributes": [prompt] if place in held else []}
                ])])
                for place in range(4)
            ),
        ])
        for held in places
    ]  # fmt: skip
    found = otlp_columns.read_each(payloads)
    assert found is not None
    assert [list(each.suspects) for each in found] == places
    assert [each.table.num_rows for each in found] == [4] * 4
    assert all(each.table.equals(otlp_columns.read(own).table) for each, own in zip(found, payloads, strict=True))


def test_content_in_columns_goes_no_further_than_content_in_rows() -> None:
    """What is read in columns is emptied of content as rows are, and all else of it is as it was."""
    messages = '[{"role":"user","parts":[{"type":"text","content":"the secret plan"}]}]'
    said = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.input.messages": messages}
    base = {"trace_id": b"\x01" * 16, "parent_span_id": b"", "name": "chat", "kind": 3, "start_time_unix_nano": 1,
            "end_time_unix_nano": 2, "status": None, "events": []}  # fmt: skip
    spans = [
        {**base, "span_id": bytes([place] * 8), "attributes": [
            (name, AnyValue(string_value=value)) for name, value in (said if place % 3 else {"note": "kept"}).items()
        ]}
        for place in range(1, 100)
    ]  # fmt: skip
    payload = _request([(None, [(("some.agent", "1"), spans)])])
    columns = otlp_columns.read(payload)
    assert columns is not None
    found = privacy.without_content(SpanBatch.of(columns))
    expected = privacy.without_content(SpanBatch(rows_of(columns.table)))
    assert sorted(found) == sorted(expected) and len(found) == 99
    assert not any("secret" in row.attributes for row in found)
    assert sum("toolspend.context.delta" in row.attributes for row in found) == 66
    assert sum("kept" in row.attributes for row in found) == 33
