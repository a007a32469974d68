"""OTLP requests made by hand, for tests of what reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
"""Start of the first span, in nanoseconds since 1970."""

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


@dataclass
class Made:
    """A span: ids are small numbers, times seconds after `START`."""

    trace: int
    span: int
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parent: int = 0
    at_s: float = 0.0
    lasts_s: float = 1.0
    scope: str = "toolspend"
    kind: str = "internal"
    status: str = "unset"
    service: str = "agent"

    @property
    def trace_id(self) -> str:
        return f"{self.trace:032x}"

    @property
    def span_id(self) -> str:
        return f"{self.span:016x}"


def protobuf(spans: Sequence[Made]) -> bytes:
    """An ExportTraceServiceRequest with one ResourceSpans a span."""
    return request(spans).SerializeToString()


def request(spans: Sequence[Made]) -> ExportTraceServiceRequest:
    """The message itself."""
    return ExportTraceServiceRequest(resource_spans=[_resource_spans(span) for span in spans])


def json_text(spans: Sequence[Made]) -> str:
    """The same request as OTLP/JSON on one line, ids in hex."""
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": span.service}}]},
                    "scopeSpans": [{"scope": {"name": span.scope, "version": "1"}, "spans": [_json_span(span)]}],
                }
                for span in spans
            ]
        }
    )


def _times(span: Made) -> tuple[int, int]:
    start = START + round(span.at_s * SECOND)
    return start, start + round(span.lasts_s * SECOND)


def _resource_spans(span: Made) -> ResourceSpans:
    message = ResourceSpans()
    message.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value=span.service)))
    scope_spans = message.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = span.scope, "1"
    start, end = _times(span)
    made = Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=span.parent.to_bytes(8, "big") if span.parent else b"",
        name=span.name,
        kind=_KINDS.index(span.kind),  # type: ignore[arg-type]
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        attributes=[KeyValue(key=key, value=_value(value)) for key, value in span.attributes.items()],
    )
    made.status.code = _STATUSES.index(span.status)  # type: ignore[assignment]
    scope_spans.spans.append(made)
    return message


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_value(each) for each in value]))
    return AnyValue(string_value=value)


def _json_span(span: Made) -> dict[str, Any]:
    start, end = _times(span)
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": f"{span.parent:016x}" if span.parent else "",
        "name": span.name,
        "kind": _KINDS.index(span.kind),
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "status": {"code": _STATUSES.index(span.status)},
        "attributes": [{"key": key, "value": _json_value(value)} for key, value in span.attributes.items()],
    }


def _json_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_json_value(each) for each in value]}}
    return {"stringValue": value}
