"""Claude Code's log events and its token metric, as OTLP has them in both encodings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA

from .. import otlp_json, otlp_protobuf
from ..otlp_records import Told, get, leaves, mappings, safely
from ..otlp_values import BadSpan
from .events import PREFIX, SCOPE_PREFIX, Event, span_of
from .metrics import TOKENS, Point, spans_of

_DELTAS: Final = (AGGREGATION_TEMPORALITY_DELTA, "AGGREGATION_TEMPORALITY_DELTA", str(AGGREGATION_TEMPORALITY_DELTA))


def is_event(scope: str, name: str) -> bool:
    """Whether a log record of this scope and name is Claude Code's."""
    return scope.startswith(SCOPE_PREFIX) or name.startswith(PREFIX)


def event_rows(name: str, time_ns: Any, said: Any, resource: Any, read: Callable[[Any], dict[str, Any]]) -> list[Told]:
    """What one log record of Claude Code's amounts to; `read` gives the values of attributes."""
    attributes = read(said)
    name = str(attributes.get("event.name") or name).removeprefix(PREFIX)
    return [span_of(Event(name, int(time_ns or 0), attributes, read(resource)))]


def metric_rows(request: ExportMetricsServiceRequest) -> Iterator[Told]:
    """What the metrics of a protobuf request amount to."""
    points: list[Point] = []
    for owner in request.resource_metrics:
        for scoped in owner.scope_metrics:
            for metric in scoped.metrics:
                if metric.name != TOKENS or metric.WhichOneof("data") != "sum":
                    yield None
                    continue
                resource = otlp_protobuf.attributes(owner.resource.attributes)
                is_delta = metric.sum.aggregation_temporality in _DELTAS
                for each in metric.sum.data_points:
                    tokens = each.as_int if each.WhichOneof("value") == "as_int" else each.as_double
                    yield from safely(_point, points, each.start_time_unix_nano, each.time_unix_nano, tokens, is_delta,
                                      otlp_protobuf.attributes(each.attributes), resource)  # fmt: skip
    yield from spans_of(points)


def metric_rows_of_json(request: Mapping[str, Any]) -> Iterator[Told]:
    """What the metrics of a JSON request amount to."""
    points: list[Point] = []
    for owner, _, metric in leaves(request, "resourceMetrics", "scopeMetrics", "metrics"):
        data = metric.get("sum")
        if metric.get("name") != TOKENS or not isinstance(data, Mapping):
            yield None
            continue
        is_delta = get(data, "aggregationTemporality") in _DELTAS
        for each in mappings(get(data, "dataPoints")):
            yield from safely(_json_point, points, each, is_delta, owner)
    yield from spans_of(points)


def _json_point(points: list[Point], each: Mapping[str, Any], is_delta: bool, owner: Mapping[str, Any]) -> list[Told]:
    whole = get(each, "asInt")
    tokens = int(whole) if whole is not None else float(get(each, "asDouble") or 0)
    start, end = get(each, "startTimeUnixNano"), get(each, "timeUnixNano")
    said, resource = otlp_json.attributes(each.get("attributes")), otlp_json.attributes(owner.get("attributes"))
    return _point(points, start, end, tokens, is_delta, said, resource)


def _point(
    points: list[Point], start: Any, end: Any, tokens: float, is_delta: bool, said: Any, resource: Any
) -> list[Told]:
    """Takes a data point in; nothing follows from it alone."""
    if tokens < 0:
        raise BadSpan(f"{tokens} tokens")
    points.append(Point(int(start or 0), int(end or 0), int(tokens), is_delta, said, resource))
    return []
