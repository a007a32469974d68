"""ResourceSpans messages to span rows."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from .otlp_values import (
    KINDS,
    SPAN_ID_BYTES,
    STATUSES,
    TRACE_ID_BYTES,
    BadSpan,
    id_from_bytes,
    is_zero_id,
    moment,
    number,
    to_json,
)
from .spans import SpanRow


def rows(resource_spans: ResourceSpans) -> Iterator[SpanRow | BadSpan]:
    """The spans of one resource, and in place of a span that cannot be stored, why."""
    resource = attributes(resource_spans.resource.attributes)
    service = resource.get("service.name")
    service_name = str(service) if service is not None else None
    resource_text = to_json(resource)
    for scope_spans in resource_spans.scope_spans:
        scope = (scope_spans.scope.name or None, scope_spans.scope.version or None)
        for span in scope_spans.spans:
            try:
                yield _row(span, service_name, scope, resource_text)
            except BadSpan as bad:
                bad.where = f"span {span.name!r}"
                yield bad
            except RecursionError:
                yield BadSpan("its attributes are nested too deeply", f"span {span.name!r}")


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as plain values; bytes become base64 text."""
    return {pair.key: plain(pair.value) for pair in pairs}


def plain(value: AnyValue) -> Any:
    """One attribute value as JSON can hold it."""
    kind = value.WhichOneof("value")
    match kind:
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "double_value":
            return number(value.double_value)
        case "bool_value":
            return value.bool_value
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case _:
            return None


def _row(span: Span, service: str | None, scope: tuple[str | None, str | None], resource: str) -> SpanRow:
    kind, status = int(span.kind), int(span.status.code)
    if not 0 <= kind < len(KINDS):
        raise BadSpan(f"kind {kind} is not a span kind")
    if not 0 <= status < len(STATUSES):
        raise BadSpan(f"status code {status} is not one of OTLP")
    start = span.start_time_unix_nano
    # An end of zero is a span that was never ended.
    end = span.end_time_unix_nano or start
    parent = span.parent_span_id.hex()
    events = [
        {
            "name": event.name,
            "time": moment(event.time_unix_nano, "time of an event").isoformat(),
            "attributes": attributes(event.attributes),
        }
        for event in span.events
    ]
    return SpanRow(
        trace_id=id_from_bytes(span.trace_id, TRACE_ID_BYTES, "trace id"),
        span_id=id_from_bytes(span.span_id, SPAN_ID_BYTES, "span id"),
        parent_span_id=None if is_zero_id(parent) else parent,
        name=span.name,
        kind=KINDS[kind],
        service=service,
        scope=scope[0],
        scope_version=scope[1],
        started_at=moment(start, "start time"),
        ended_at=moment(end, "end time"),
        duration_ms=(end - start) / 1e6,
        status=STATUSES[status],
        status_message=span.status.message or None,
        attributes=to_json(attributes(span.attributes)),
        resource_attributes=resource,
        events=to_json(events),
    )
