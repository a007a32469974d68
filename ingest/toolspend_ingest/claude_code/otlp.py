"""OTLP logs and metrics, in both encodings, as far as they are Claude Code's: its events and its token metric."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA

from .. import otlp_json, otlp_protobuf
from ..otlp_values import BadSpan
from ..spans import SpanRow
from .events import PREFIX, SCOPE_PREFIX, Event, span_of
from .metrics import TOKENS, Point, spans_of

Told: TypeAlias = SpanRow | BadSpan | None
"""What one record amounts to; None where it says nothing of the bill."""

LOGS: Final = "logs"
METRICS: Final = "metrics"
_DELTAS: Final = (AGGREGATION_TEMPORALITY_DELTA, "AGGREGATION_TEMPORALITY_DELTA", str(AGGREGATION_TEMPORALITY_DELTA))
_MISSHAPEN: Final = (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, RecursionError)
_INNER_CAPITAL: Final = re.compile(r"(?=[A-Z])")


def log_rows(request: ExportLogsServiceRequest) -> Iterator[Told]:
    """What the log records of a protobuf request amount to."""
    for owner in request.resource_logs:
        for scoped in owner.scope_logs:
            for record in scoped.log_records:
                name = record.event_name or record.body.string_value
                if _is_event(scoped.scope.name, name):
                    time_ns = record.time_unix_nano or record.observed_time_unix_nano
                    yield from _safely(_event, name, time_ns, record.attributes, owner.resource.attributes, _of_pairs)
                else:
                    yield None


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
                    yield from _safely(_point, points, each.start_time_unix_nano, each.time_unix_nano, tokens, is_delta,
                                       otlp_protobuf.attributes(each.attributes), resource)  # fmt: skip
    yield from spans_of(points)


def rows_of_json(request: Mapping[str, Any]) -> tuple[str, Iterator[Told]] | None:
    """The signal of a JSON request, and what its records amount to; None where it is neither logs nor metrics."""
    if _get(request, "resourceLogs") is not None:
        return LOGS, _json_logs(request)
    if _get(request, "resourceMetrics") is not None:
        return METRICS, _json_metrics(request)
    return None


def _json_logs(request: Mapping[str, Any]) -> Iterator[Told]:
    for owner, scope, record in _leaves(request, "resourceLogs", "scopeLogs", "logRecords"):
        body = record.get("body")
        said = _get(body, "stringValue") if isinstance(body, Mapping) else None
        name = str(_get(record, "eventName") or said or "")
        if _is_event(str(scope.get("name") or ""), name):
            time_ns = _get(record, "timeUnixNano") or _get(record, "observedTimeUnixNano")
            yield from _safely(
                _event, name, time_ns, record.get("attributes"), owner.get("attributes"), otlp_json.attributes
            )
        else:
            yield None


def _json_metrics(request: Mapping[str, Any]) -> Iterator[Told]:
    points: list[Point] = []
    for owner, _, metric in _leaves(request, "resourceMetrics", "scopeMetrics", "metrics"):
        data = metric.get("sum")
        if metric.get("name") != TOKENS or not isinstance(data, Mapping):
            yield None
            continue
        is_delta = _get(data, "aggregationTemporality") in _DELTAS
        for each in _mappings(_get(data, "dataPoints")):
            yield from _safely(_json_point, points, each, is_delta, owner)
    yield from spans_of(points)


def _json_point(points: list[Point], each: Mapping[str, Any], is_delta: bool, owner: Mapping[str, Any]) -> None:
    whole = _get(each, "asInt")
    tokens = int(whole) if whole is not None else float(_get(each, "asDouble") or 0)
    start, end = _get(each, "startTimeUnixNano"), _get(each, "timeUnixNano")
    said, resource = otlp_json.attributes(each.get("attributes")), otlp_json.attributes(owner.get("attributes"))
    _point(points, start, end, tokens, is_delta, said, resource)


def _point(points: list[Point], start: Any, end: Any, tokens: float, is_delta: bool, said: Any, resource: Any) -> None:
    if tokens < 0:
        raise BadSpan(f"{tokens} tokens")
    points.append(Point(int(start or 0), int(end or 0), int(tokens), is_delta, said, resource))


def _event(name: str, time_ns: Any, said: Any, resource: Any, read: Callable[[Any], dict[str, Any]]) -> Told:
    attributes = read(said)
    name = str(attributes.get("event.name") or name).removeprefix(PREFIX)
    return span_of(Event(name, int(time_ns or 0), attributes, read(resource)))


def _of_pairs(pairs: Any) -> dict[str, Any]:
    return otlp_protobuf.attributes(pairs)


def _safely(make: Callable[..., Told | None], *given: Any) -> Iterator[Told]:
    """What `make` gives; a record that it cannot read costs only itself. Nothing for a data point that was kept."""
    try:
        made = make(*given)
    except BadSpan as bad:
        yield bad
    except _MISSHAPEN as error:
        yield BadSpan(f"misshapen: {error or type(error).__name__}"[:200], "record")
    else:
        if made is not None or make is _event:
            yield made


def _leaves(
    request: Mapping[str, Any], owners: str, scopes: str, leaves: str
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """Each record or metric with its resource and its scope."""
    for owner in _mappings(_get(request, owners)):
        resource = owner.get("resource")
        for scoped in _mappings(_get(owner, scopes)):
            scope = scoped.get("scope")
            for leaf in _mappings(_get(scoped, leaves)):
                yield (
                    (resource if isinstance(resource, Mapping) else {}),
                    (scope if isinstance(scope, Mapping) else {}),
                    leaf,
                )


def _mappings(value: object) -> Iterable[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _get(value: Mapping[str, Any], name: str) -> Any:
    """A field by its name in JSON, or as protobuf writes it."""
    return value[name] if name in value else value.get(_INNER_CAPITAL.sub("_", name).lower())


def _is_event(scope: str, name: str) -> bool:
    return scope.startswith(SCOPE_PREFIX) or name.startswith(PREFIX)
