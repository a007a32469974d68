"""Messages that come as log records are evidence of the span that they name, whatever comes first."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otlp_requests import START, Made, protobuf
from recorded_messages import DETAILS, FORMS, SECRET, Emitted, Form, as_json, conversation
from sessions_that_go_on import derived, empty_stores
from toolspend import attributes as at
from toolspend_ingest import Store, ingest
from toolspend_ingest.decode import Decoded, Media, decode
from toolspend_ingest.retention import Keep, prune
from toolspend_ingest.signals import decode_logs
from toolspend_ingest.spans import SpanBatch
from toolspend_ingest.store import Load

Fresh = Callable[[str], Store]
Rows = Callable[[str], list[dict[str, Any]]]
Derived = dict[str, list[tuple[Any, ...]]]
CONSERVED = (Path(__file__).parents[1] / "conservation.sql").read_text(encoding="utf-8")
LONG = 10
"""Requests of a session that is long enough to be added to."""
LOGS = "select * from spans where kind = 'log'"
stores = pytest.fixture(scope="module")(empty_stores)


def read(request: Message, media: Media = "protobuf") -> Decoded:
    """A request as the receiver of its signal reads it."""
    payload = request.SerializeToString() if media == "protobuf" else as_json(request)
    return decode_logs(payload, media) if isinstance(request, ExportLogsServiceRequest) else decode(payload, media)


def load(store: Store, *requests: Message, media: Media = "protobuf") -> None:
    for request in requests:
        decoded = read(request, media)
        assert not decoded.refused
        store.append(decoded.spans, "test", "test", None)
    assert store.cursor().execute(CONSERVED).fetchall() == []


def bill(store: Store) -> Derived:
    """Every derived table; evidence as values, as its JSON may be spelt in several ways."""
    found = derived(store)
    del found["spans"]
    read_json = [tuple(_value(each) for each in row) for row in found["context_evidence"]]
    return {**found, "context_evidence": read_json}


def _value(cell: Any) -> Any:
    return json.loads(cell) if isinstance(cell, str) and cell.startswith("[") else cell


def whole(store: Store, form: Form, **more: Any) -> Derived:
    """The bill of a conversation that comes in two requests."""
    emitted = conversation(form, **more)
    load(store, emitted.all_spans, *([emitted.all_logs] if emitted.logs else []))
    return bill(store)


@pytest.mark.parametrize("form", FORMS)
def test_records_say_what_attributes_say(fresh: Fresh, form: Form) -> None:
    """One conversation, its messages on the spans or as records: the same evidence, and the same bill by tool."""
    with fresh("attributes") as store:
        expected = whole(store, "attributes")
    with fresh(form) as store:
        assert whole(store, form) == expected
    assert len(expected["context_evidence"]) == 3
    assert len(expected["tool_calls"]) == 2


def test_definitions_in_a_record_are_billed(fresh: Fresh) -> None:
    """What a record says of the tools that were offered is known of them."""
    with fresh("attributes") as store:
        expected = whole(store, "attributes", with_tools=True)
    with fresh("details") as store:
        assert whole(store, "details", with_tools=True) == expected
        costs = store.cursor().execute("select tool, definition_cost_usd > 0 from tool_costs").fetchall()
    assert costs == [("get_route", True)]


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(form=st.sampled_from(FORMS), dice=st.integers(0, 2**32).map(random.Random))
def test_neither_order_nor_company_matters(
    form: Form, dice: random.Random, stores: Callable[[], Store], expected_of: Callable[[Form], Derived]
) -> None:
    """Records before, with and after their span, in other requests, some twice: the bill is that of all at once."""
    parts = in_time(conversation(form, LONG))
    parts += dice.sample(parts, dice.randint(0, 6))
    near = dice.choice((3, 30, 1000))
    order = sorted(range(len(parts)), key=lambda place: place + near * dice.random())
    store = stores()
    begin = 0
    while begin < len(order):
        end = begin + dice.choice((1, 5, 20)) if begin else len(order) // 2
        decoded = [read(each) for each in grouped([parts[place] for place in order[begin:end]])]
        store.append_loads([(each.spans, Load("test", "test", None)) for each in decoded])
        begin = end
    assert bill(store) == expected_of(form)
    store.rederive()
    assert bill(store) == expected_of(form)


@pytest.mark.parametrize("form", FORMS)
def test_a_session_that_goes_on_waits_for_nothing(
    form: Form, stores: Callable[[], Store], expected_of: Callable[[Form], Derived]
) -> None:
    """Records that were there before their span are found when it comes, though the session is only added to."""
    emitted = conversation(form, LONG)
    store = stores()
    *spans, last, root = emitted.spans
    load(store, root, *spans[:-1], emitted.all_logs, spans[-1])
    assert len(store.cursor().execute("select * from llm_requests").fetchall()) == LONG - (form != "details")
    load(store, last)
    assert bill(store) == expected_of(form)


def in_time(emitted: Emitted) -> list[Message]:
    """What was exported, in the order in which it was made."""
    spans = [(each.resource_spans[0].scope_spans[0].spans[0].end_time_unix_nano, each) for each in emitted.spans]
    logs = [(_record(each).time_unix_nano, each) for each in emitted.logs]
    return [each for _, each in sorted([*spans, *logs], key=lambda part: part[0])]


def grouped(parts: Sequence[Message]) -> Iterator[Message]:
    """Spans in one request, records in another."""
    spans = [each for each in parts if isinstance(each, ExportTraceServiceRequest)]
    logs = [each for each in parts if isinstance(each, ExportLogsServiceRequest)]
    if spans:
        yield ExportTraceServiceRequest(resource_spans=[each for one in spans for each in one.resource_spans])
    if logs:
        yield ExportLogsServiceRequest(resource_logs=[each for one in logs for each in one.resource_logs])


@pytest.fixture(scope="module")
def expected_of(stores: Callable[[], Store]) -> Callable[[Form], Derived]:
    """The bill of the longer conversation, loaded at once."""
    known: dict[Form, Derived] = {}

    def get(form: Form) -> Derived:
        if form not in known:
            known[form] = whole(stores(), form, requests=LONG)
        return known[form]

    for form in FORMS:
        get(form)
    return get


def test_both_encodings_are_one(fresh: Fresh) -> None:
    """Records as JSON and as protobuf are the same rows, so that one sent in both is stored once."""
    logs = conversation("messages").all_logs
    assert list(read(logs, "json").spans) == list(read(logs).spans)
    with fresh("store") as store:
        load(store, logs)
        load(store, logs, media="json")
        assert store.cursor().execute("select count(*) from spans").fetchone() == (3,)


@pytest.mark.parametrize("form", FORMS)
def test_content_is_not_stored(fresh: Fresh, form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor later, when content that was kept is pruned; what is derived is the same with and without."""
    with fresh("without") as store:
        without = whole(store, form)
        assert SECRET not in str(store.cursor().execute("select * from spans").fetchall())
    monkeypatch.setenv("TOOLSPEND_KEEP_CONTENT", "1")
    with fresh("with") as store:
        kept = whole(store, form)
        assert SECRET in str(store.cursor().execute(LOGS).fetchall())
        now = store.cursor().execute("select max(ended_at) + interval 2 day from spans").fetchone()
        assert now is not None
        prune(lambda work: work(store.cursor()), store.write, Keep(content=timedelta(days=1)), now[0])
        assert SECRET not in str(store.cursor().execute("select * from spans").fetchall())
        store.rederive()
        assert bill(store) == kept == without


def test_without_content_records_name_the_calls(fresh: Fresh) -> None:
    """Where an instrumentation keeps content to itself, a prompt's pieces are not known, and so are not told."""
    with fresh("store") as store:
        found = whole(store, "messages", is_captured=False)
        prompts = store.cursor().execute("select delta from context_evidence").fetchall()
        calls = store.cursor().execute("select tool, tool_call_id from tool_calls order by all").fetchall()
    assert set(prompts) == {(None,)}
    assert calls == [("get_route", "call_1_0"), ("get_route", "call_2_0")]
    assert len(found["llm_requests"]) == 3


def test_a_whole_request_is_billed_without_its_span(fresh: Fresh) -> None:
    """A record that says the tokens stands for a span that a sampler left out; the span, once there, for itself."""
    emitted = conversation("details")
    with fresh("store") as store:
        load(store, emitted.all_logs)
        cursor = store.cursor()
        alone = cursor.execute(
            "select request_id, input_tokens, output_tokens, cost_usd from llm_requests order by all"
        )
        told = alone.fetchall()
        assert cursor.execute("select distinct duration_ms from llm_requests").fetchall() == [(None,)]
        load(store, emitted.all_spans)
        spans = cursor.execute(
            "select request_id, input_tokens, output_tokens, cost_usd from llm_requests order by all"
        )
        assert told == spans.fetchall()
        assert len(told) == 3
        assert None not in told[0]
        assert cursor.execute("select distinct duration_ms from llm_requests").fetchall() == [(1000.0,)]


def test_messages_without_their_span_are_stored_and_bill_nothing(store: Store, rows: Rows) -> None:
    """There is no request to bill; they are there when it comes."""
    emitted = conversation("messages")
    load(store, emitted.all_logs)
    assert rows("select count(*) as n from llm_requests") == [{"n": 0}]
    assert rows("select distinct name, kind from spans") == [{"name": "gen_ai messages", "kind": "log"}]
    load(store, emitted.all_spans)
    assert rows("select count(*) as n from context_evidence where delta is not null") == [{"n": 3}]


def test_what_was_acknowledged_is_evidence_after_a_crash(fresh: Fresh, tmp_path: Path) -> None:
    """Records are stored, with that their trace is due, before anything is made of them."""
    emitted = conversation("messages")
    with fresh("whole") as store:
        expected = whole(store, "messages")
    with fresh("crashed") as store:
        load(store, emitted.all_spans)
        for log in emitted.logs:
            store.append_load(read(log).spans, Load("test", "test", None), is_derived_later=True)
        path = store.path
    with Store.open(path) as store:
        store.derive_pending()
        assert bill(store) == expected


def test_files_of_records_are_read(fresh: Fresh, tmp_path: Path) -> None:
    """As JSON lines and as protobuf, before and after the file of spans."""
    emitted = conversation("messages")
    with fresh("expected") as store:
        expected = whole(store, "messages")
    lines, binary = tmp_path / "logs.jsonl", tmp_path / "logs.pb"
    lines.write_bytes(b"\n".join(as_json(each) for each in emitted.logs))
    binary.write_bytes(emitted.all_logs.SerializeToString())
    spans = tmp_path / "spans.pb"
    spans.write_bytes(emitted.all_spans.SerializeToString())
    for name, paths in {"lines first": [lines, spans], "protobuf last": [spans, binary]}.items():
        with fresh(name) as store:
            summary = ingest(store, paths)
            assert (summary.refused, summary.skipped) == (0, 0)
            assert bill(store) == expected


def test_requests_side_by_side_each_have_their_own(fresh: Fresh) -> None:
    """Records of the span around two requests go to the one in which they were made."""
    one, other = conversation("around"), conversation("messages")
    around, direct = (_overlapping(each) for each in (one, other))
    with fresh("around") as store:
        load(store, around.all_spans, around.all_logs)
        found = bill(store)
    with fresh("messages") as store:
        load(store, direct.all_spans, direct.all_logs)
        assert bill(store) == found


def _overlapping(emitted: Emitted) -> Emitted:
    """The same, the second request beginning half-way through the first."""
    shift = 1_500_000_000
    spans = [ExportTraceServiceRequest.FromString(each.SerializeToString()) for each in emitted.spans]
    second = spans[1].resource_spans[0].scope_spans[0].spans[0]
    start, end = second.start_time_unix_nano, second.end_time_unix_nano
    second.start_time_unix_nano, second.end_time_unix_nano = start - shift, end - shift
    logs = [ExportLogsServiceRequest.FromString(each.SerializeToString()) for each in emitted.logs]
    for record in map(_record, logs):
        if start <= record.time_unix_nano <= end:
            record.time_unix_nano -= shift
    return Emitted(tuple(spans), tuple(logs))


def _record(request: ExportLogsServiceRequest) -> LogRecord:
    return request.resource_logs[0].scope_logs[0].log_records[0]


def test_other_records_are_counted_only() -> None:
    """Those of no span, and those that are no messages."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add(time_unix_nano=1, event_name="gen_ai.user.message")
    records.add(time_unix_nano=1, event_name="gen_ai.evaluation.result", trace_id=b"t" * 16, span_id=b"s" * 8)
    records.add(time_unix_nano=1, trace_id=b"t" * 16, span_id=b"s" * 8)
    records.add(time_unix_nano=1, event_name=DETAILS, trace_id=b"t" * 3, span_id=b"s" * 8)
    for media in ("protobuf", "json"):
        decoded = read(request, media)
        assert decoded.passed_over == {"logs": 3}
        assert [str(each) for each in decoded.refused] == ["trace id has 3 bytes, not 16"] or media == "json"
        assert len(decoded.refused) == 1
        assert not len(decoded.spans)


def test_the_name_may_be_an_attribute(store: Store, rows: Rows) -> None:
    """As it was before records had a field for it."""
    emitted = conversation("messages")
    logs = ExportLogsServiceRequest.FromString(emitted.all_logs.SerializeToString())
    for owner in logs.resource_logs:
        for record in owner.scope_logs[0].log_records:
            record.attributes.add(key="event.name").value.string_value = record.event_name
            record.ClearField("event_name")
    load(store, emitted.all_spans, logs)
    load(store, logs, media="json")
    assert rows("select count(*) as n from context_evidence where delta is not null") == [{"n": 3}]


def test_a_span_that_says_more_is_not_overruled(fresh: Fresh) -> None:
    """Its own messages stand; records beside it change nothing."""
    spans, logs = conversation("attributes", with_tools=True), conversation("messages")
    with fresh("alone") as store:
        load(store, spans.all_spans)
        expected = bill(store)
    with fresh("both") as store:
        load(store, logs.all_logs, spans.all_spans)
        assert bill(store) == expected


def test_a_batch_keeps_what_it_can_read(store: Store, rows: Rows) -> None:
    """A record that cannot be read costs only itself."""
    emitted = conversation("messages")
    logs = ExportLogsServiceRequest.FromString(emitted.all_logs.SerializeToString())
    bad = logs.resource_logs[0].scope_logs[0].log_records.add(event_name="gen_ai.user.message", span_id=b"s" * 8)
    assert bad.trace_id == b""
    decoded = read(logs)
    assert [str(each) for each in decoded.refused] == ["trace id has 0 bytes, not 16"]
    store.append(SpanBatch.joined([decoded.spans, read(emitted.all_spans).spans]), "test", "test", None)
    assert rows("select count(*) as n from context_evidence where delta is not null") == [{"n": 3}]


def any_value(value: Any) -> dict[str, Any]:
    """A value as OTLP/JSON has it."""
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": any_value(each)} for key, each in value.items()]}}
    if isinstance(value, list):
        return {"arrayValue": {"values": list(map(any_value, value))}}
    return {} if value is None else {"stringValue": value}


def evidence_of(store: Store, *records: tuple[str, Any], **own: Any) -> tuple[Any, ...]:
    """What is known of the prompt and the output of one request from its records, each a name and a body.

    `own`: evidence that its span has in one attribute.
    """
    said = {at.CONTEXT_EVIDENCE: json.dumps(own)} if own else {}
    span = Made(1, 2, "chat", {at.OPERATION: "chat", at.INPUT_TOKENS: 90, at.OUTPUT_TOKENS: 9, **said}, scope="")
    listed = [
        {"timeUnixNano": str(START + place), "eventName": name, "body": any_value(body), "traceId": span.trace_id,
         "spanId": span.span_id}
        for place, (name, body) in enumerate(records)
    ]  # fmt: skip
    document = json.dumps({"resourceLogs": [{"scopeLogs": [{"scope": {"version": "1"}, "logRecords": listed}]}]})
    store.append(decode(document.encode(), "json").spans, "test", "test", None)
    store.append(decode(protobuf([span]), "protobuf").spans, "test", "test", None)
    query = "select delta, segments, chars, output from context_evidence"
    (row,) = store.cursor().execute(query).fetchall()
    return tuple(_value(each) for each in row)


ASKED = {"tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": {"at": "it"}}}]}


def test_evidence_of_our_own_is_not_overruled(store: Store) -> None:
    """A span that an instrumented agent described keeps its description, of which it says nothing twice."""
    asked = ("gen_ai.user.message", {"content": "What is it? " * 9})
    offered = ("gen_ai.user.message", {"content": {"tools": [{"name": "look", "description": "Looks."}]}})
    found = evidence_of(store, asked, offered, delta=[["u", 5]])
    assert found[:3] == ([["u", 5]], None, None)


def test_openllmetrys_tools_are_no_message(store: Store) -> None:
    """Its anthropic instrumentation sends the definitions as a message of the user's, after all others."""
    tools = [{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}]
    choice = {"message": {"content": None}, "finish_reason": "tool_call", **ASKED}
    prompt, segments, chars, output = evidence_of(
        store, ("gen_ai.system.message", {"content": "Be brief."}), ("gen_ai.user.message", {"content": "Look."}),
        ("gen_ai.user.message", {"content": {"tools": tools}}), ("gen_ai.choice", choice),
    )  # fmt: skip
    assert [(each[0], each[2] if len(each) > 2 else None) for each in prompt] == [
        ("d", "look"),
        ("s", None),
        ("u", None),
    ]
    assert (segments, chars) == (3, sum(each[1] for each in prompt))
    assert [each[2:4] for each in output] == [["look", "c1"]]


def test_a_result_without_an_id_answers_the_next_call(store: Store) -> None:
    """OpenLLMetry's openai instrumentation leaves the id out; results come in the order of their calls."""
    more = {"id": "c2", "function": {"name": "listen", "arguments": {"to": "it"}}}
    prompt, *_ = evidence_of(
        store, ("gen_ai.user.message", {"content": "Look."}),
        ("gen_ai.assistant.message", {"tool_calls": [*ASKED["tool_calls"], more]}),
        ("gen_ai.tool.message", {"content": "a tree"}), ("gen_ai.tool.message", {"content": "wind"}),
    )  # fmt: skip
    assert [each[:4] for each in prompt if each[0] == "r"] == [["r", 6, "look", "c1"], ["r", 4, "listen", "c2"]]


def test_a_result_that_is_sent_twice_is_there_once(store: Store) -> None:
    """The instrumentation of botocore sends the results of a message, and then the message, in Bedrock's own form."""
    content = [{"text": "a tree"}]
    use = {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": "it"}}}
    calls = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": "it"}}}]
    prompt, *_ = evidence_of(
        store, ("gen_ai.user.message", {"content": [{"text": "Look."}]}),
        ("gen_ai.assistant.message", {"content": [{"text": "Well."}, use], "tool_calls": calls}),
        ("gen_ai.tool.message", {"id": "c1", "content": content}),
        ("gen_ai.user.message", {"content": [{"toolResult": {"toolUseId": "c1", "content": content}}]}),
    )  # fmt: skip
    assert [each[0] for each in prompt] == ["u", "a", "c", "r"]
    assert prompt[-1] == ["r", 6, "look", "c1"]


def test_a_body_may_be_text(store: Store) -> None:
    """JSON text of it, as .NET writes, or what was said itself."""
    prompt, _, _, output = evidence_of(
        store, ("gen_ai.user.message", "Look at it."), ("gen_ai.assistant.message", json.dumps(ASKED)),
        ("gen_ai.choice", json.dumps({"message": {"content": "A tree."}, "finish_reason": "stop"})),
    )  # fmt: skip
    assert [each[:2] for each in prompt] == [["u", 11], ["c", 15]]
    assert output == [["a", 7]]
    assert store.cursor().execute("select stop_reason from llm_requests").fetchall() == [("stop",)]
