"""OTLP log records, in both encodings: those of Claude Code, and those that carry a model's messages, become spans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from . import otlp_json, otlp_protobuf
from .claude_code.otlp import event_rows, is_event
from .otlp_records import Told, get, leaves, safely
from .otlp_values import SPAN_ID_BYTES, TRACE_ID_BYTES, clean, id_from_bytes, id_from_text, is_zero_id
from .recorded import Owner, Recorded, Resource
from .vocabularies.log_records import is_message

_NAME: Final = "event.name"
"""Where the name of an event was before records had a field for it."""


def log_rows(request: ExportLogsServiceRequest) -> Iterator[Told]:
    """What the log records of a protobuf request amount to."""
    recorded = Recorded()
    for owner in request.resource_logs:
        resource = lru_cache(partial(_resource, otlp_protobuf.attributes, owner.resource.attributes))
        for scoped in owner.scope_logs:
            for record in scoped.log_records:
                said = record.event_name or record.body.string_value
                time_ns = record.time_unix_nano or record.observed_time_unix_nano
                if is_event(scoped.scope.name, said):
                    common = owner.resource.attributes
                    yield from safely(event_rows, said, time_ns, record.attributes, common, otlp_protobuf.attributes)
                elif is_message(name := record.event_name or _name(record)) and record.span_id.strip(b"\0"):
                    yield from safely(_add, recorded, resource, scoped.scope, record, name, time_ns)
                else:
                    yield None
    yield from recorded.rows()


def _resource(read: Callable[[Any], dict[str, Any]], attributes: Any) -> Resource:
    return Resource(read(attributes))


def _name(record: LogRecord) -> str:
    return next((pair.value.string_value for pair in record.attributes if pair.key == _NAME), "")


def _add(
    recorded: Recorded,
    resource: Callable[[], Resource],
    scope: InstrumentationScope,
    record: LogRecord,
    name: str,
    time_ns: int,
) -> list[Told]:
    owner = Owner(
        id_from_bytes(record.trace_id, TRACE_ID_BYTES, "trace id"),
        id_from_bytes(record.span_id, SPAN_ID_BYTES, "span id"),
        scope.name or None,
        scope.version or None,
        resource(),
    )
    body = otlp_protobuf.plain(record.body)
    recorded.add(owner, name, time_ns, otlp_protobuf.attributes(record.attributes), body)
    return []


def log_rows_of_json(request: Mapping[str, Any]) -> Iterator[Told]:
    """What the log records of a JSON request amount to."""
    recorded = Recorded()
    known: dict[int, Resource] = {}
    for resource, scope, record in leaves(request, "resourceLogs", "scopeLogs", "logRecords"):
        body = record.get("body")
        text = get(body, "stringValue") if isinstance(body, Mapping) else None
        own = get(record, "eventName")
        time_ns = get(record, "timeUnixNano") or get(record, "observedTimeUnixNano")
        if is_event(str(scope.get("name") or ""), said := str(own or text or "")):
            yield from safely(
                event_rows, said, time_ns, record.get("attributes"), resource.get("attributes"), otlp_json.attributes
            )
        else:
            yield from safely(_add_json, recorded, known, resource, scope, record, own, time_ns)
    yield from recorded.rows()


def _add_json(
    recorded: Recorded,
    known: dict[int, Resource],
    resource: Mapping[str, Any],
    scope: Mapping[str, Any],
    record: Mapping[str, Any],
    own_name: object,
    time_ns: Any,
) -> list[Told]:
    trace_id, span_id = get(record, "traceId"), get(record, "spanId")
    if not span_id or (isinstance(span_id, str) and is_zero_id(span_id)):
        return [None]
    name = str(own_name) if own_name else _json_name(record)
    if not is_message(name):
        return [None]
    if id(resource) not in known:
        known[id(resource)] = _resource(otlp_json.attributes, resource.get("attributes"))
    owner = Owner(
        id_from_text(trace_id, TRACE_ID_BYTES, "trace id"),
        id_from_text(span_id, SPAN_ID_BYTES, "span id"),
        clean(str(scope["name"])) if scope.get("name") else None,
        clean(str(scope["version"])) if scope.get("version") else None,
        known[id(resource)],
    )
    body = otlp_json.plain(record.get("body"))
    recorded.add(owner, name, int(time_ns or 0), otlp_json.attributes(record.get("attributes")), body)
    return []


def _json_name(record: Mapping[str, Any]) -> str:
    attributes = record.get("attributes")
    if not isinstance(attributes, list) or not any(
        isinstance(pair, Mapping) and pair.get("key") == _NAME for pair in attributes
    ):
        return ""
    return str(otlp_json.attributes(attributes).get(_NAME) or "")
