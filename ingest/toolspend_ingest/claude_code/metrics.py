"""Claude Code's token metric as spans: the usage of one model within a session and an interval, as if one request.

It is a sum over requests that nobody told of one by one, so it is billed only where nothing else tells of the session
(`once`). What the cost metric says is not used: costs follow from tokens and prices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from toolspend import attributes as at

from ..otlp_values import BadSpan, clean, moment, to_json
from ..spans import SpanRow
from . import METRIC_SCOPE, SERVICE, span_id_of, trace_id_of
from .values import text

TOKENS: Final = "claude_code.token.usage"
_TYPES: Final = ("input", "output", "cacheRead", "cacheCreation")
_TOTAL: Final = "total"
"""The interval of a sum since the beginning: with every export it is the same series, and the latest is all of it."""


class Point(NamedTuple):
    """One data point of the token metric; `is_delta` where it counts since the last one, else since the beginning."""

    start_ns: int
    end_ns: int
    tokens: int
    is_delta: bool
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


def spans_of(points: Iterable[Point]) -> Iterator[SpanRow | BadSpan]:
    """A span for each series and interval; points that name no session cannot be told from what events say."""
    groups: dict[tuple[str, str, str], list[Point]] = defaultdict(list)
    for point in points:
        session, kind = text(point.attributes, "session.id"), text(point.attributes, "type")
        if session is None:
            yield BadSpan("it names no session", f"metric {TOKENS}")
        elif kind in _TYPES:
            rest = sorted((name, str(value)) for name, value in point.attributes.items() if name != "type")
            groups[session, str(point.end_ns) if point.is_delta else _TOTAL, to_json(rest)].append(point)
    for (session, interval, series), listed in groups.items():
        for part in [listed] if interval != _TOTAL else _processes(listed):
            try:
                yield _span(session, interval, series, {str(point.attributes["type"]): point for point in part})
            except BadSpan as bad:
                bad.where = f"metric {TOKENS}"
                yield bad


def _processes(points: Iterable[Point]) -> Iterator[list[Point]]:
    """Sums since the beginning by the process that counted them, the latest of each last: those of one overlap, and a
    session that goes on in another process counts anew."""
    found: list[Point] = []
    for point in sorted(points, key=lambda each: each.start_ns):
        if found and point.start_ns > max(each.end_ns for each in found):
            yield sorted(found, key=lambda each: each.end_ns)
            found = []
        found.append(point)
    yield sorted(found, key=lambda each: each.end_ns)


def _span(session: str, interval: str, series: str, by_type: Mapping[str, Point]) -> SpanRow:
    first = next(iter(by_type.values()))
    model = text(first.attributes, "model")
    tokens = {kind: by_type[kind].tokens if kind in by_type else 0 for kind in _TYPES}
    ended_at = moment(max(point.end_ns for point in by_type.values()), "time of the metric")
    started_at = moment(min(point.start_ns or point.end_ns for point in by_type.values()), "time of the metric")
    # A collector may send the types of one interval apart: each part is billed for what it has.
    began_ns = min(point.start_ns for point in by_type.values())
    own = str(began_ns) if interval == _TOTAL else ",".join(sorted(by_type))
    attributes = {
        at.OPERATION: at.OPERATION_CHAT,
        at.PROVIDER: "anthropic",
        at.CONVERSATION_ID: session,
        at.USER_ID: text(first.attributes, "user.id"),
        at.REQUEST_MODEL: model,
        at.INPUT_TOKENS: tokens["input"] + tokens["cacheRead"] + tokens["cacheCreation"],
        at.CACHE_READ_TOKENS: tokens["cacheRead"],
        at.CACHE_WRITE_TOKENS: tokens["cacheCreation"],
        at.OUTPUT_TOKENS: tokens["output"],
    }
    return SpanRow(
        trace_id=trace_id_of(session),
        span_id=span_id_of(session, "metric", interval, series, own),
        parent_span_id=None,
        name=clean(f"chat {model}" if model else "chat"),
        kind="client",
        service=clean(text(first.resource, at.SERVICE_NAME) or SERVICE),
        scope=METRIC_SCOPE,
        scope_version=text(first.resource, "service.version"),
        started_at=min(started_at, ended_at),
        ended_at=ended_at,
        duration_ms=max(ended_at - started_at, timedelta()) / timedelta(milliseconds=1),
        status="unset",
        status_message=None,
        attributes=to_json({key: value for key, value in attributes.items() if value is not None}),
        resource_attributes=to_json(dict(first.resource)),
        events="[]",
    )
