"""OTLP/JSON requests to span rows; ids in hex, as the specification says, or in base64, as protobuf tools write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .otlp_values import (
    KINDS,
    SPAN_ID_BYTES,
    STATUSES,
    TRACE_ID_BYTES,
    BadSpan,
    clean,
    id_from_text,
    is_zero_id,
    moment,
    number,
    to_json,
)
from .spans import SpanRow

_MISSHAPEN = (TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError)
_DECODER = json.JSONDecoder()
# The owner of spans, the first span of a list, or a span by its first field; a link to a span has no name.
_LANDMARK = re.compile(
    r'"(?P<owner>resource|scope)"\s*:\s*(?=\{)|"spans"\s*:\s*\[\s*(?=\{)|(?:\}\s*,\s*)?(?=\{\s*"(?:traceId|trace_id)")'
)


def rows(request: Mapping[str, Any]) -> Iterator[SpanRow | BadSpan]:
    """The spans of one request, and in place of a span that cannot be stored, why."""
    for resource_spans in _items(request, "resourceSpans", "resource_spans"):
        if isinstance(resource_spans, BadSpan):
            yield resource_spans
            continue
        try:
            owner = _Owner(resource_spans.get("resource"))
        except _MISSHAPEN:
            yield BadSpan("resource is misshapen")
            continue
        for scope_spans in _items(resource_spans, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
            if isinstance(scope_spans, BadSpan):
                yield scope_spans
                continue
            scope = scope_spans.get("scope") or scope_spans.get("instrumentationLibrary")
            for span in _items(scope_spans, "spans"):
                yield span if isinstance(span, BadSpan) else owner.row(span, scope)


def whole_spans(text: str) -> Iterator[SpanRow | BadSpan]:
    """The spans that are whole in the text of a damaged request, with the resource and scope last seen before them."""
    resource: object = None
    scope: object = None
    position = 0
    while found := _LANDMARK.search(text, position):
        position = found.end()
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            # Not whole: what lies within it is looked at next.
            position += 1
            continue
        if found.group("owner") == "resource":
            resource, scope = value, None
        elif found.group("owner") == "scope":
            scope = value
        elif isinstance(value, Mapping) and ("name" in value or "startTimeUnixNano" in value):
            yield _owner(resource).row(value, scope)


def _owner(resource: object) -> _Owner:
    try:
        return _Owner(resource)
    except _MISSHAPEN:
        return _Owner(None)


def _items(owner: Mapping[str, Any], *names: str) -> Iterator[Any]:
    """The mappings in the list under the first of the names that is there."""
    value = next((owner[name] for name in names if owner.get(name) is not None), ())
    if not isinstance(value, Sequence) or isinstance(value, str):
        yield BadSpan(f"{names[0]} is not a list")
        return
    for item in value:
        yield item if isinstance(item, Mapping) else BadSpan(f"an item of {names[0]} is not an object")


class _Owner:
    """A resource: what its spans share."""

    def __init__(self, resource: object) -> None:
        values = attributes(resource.get("attributes")) if isinstance(resource, Mapping) else {}
        self.text = to_json(values)
        name = values.get("service.name")
        self.service = clean(str(name)) if name is not None else None

    def row(self, span: Mapping[str, Any], scope: object) -> SpanRow | BadSpan:
        where = f"span {str(span.get('name'))[:80]!r}"
        try:
            return self._row(span, scope if isinstance(scope, Mapping) else {})
        except BadSpan as bad:
            bad.where = where
            return bad
        except _MISSHAPEN as error:
            return BadSpan(f"misshapen: {error or type(error).__name__}", where)

    def _row(self, span: Mapping[str, Any], scope: Mapping[str, Any]) -> SpanRow:
        start = _integer(_get(span, "startTimeUnixNano", "start_time_unix_nano") or 0)
        end = _integer(_get(span, "endTimeUnixNano", "end_time_unix_nano") or 0) or start
        status = span.get("status") or {}
        parent = _get(span, "parentSpanId", "parent_span_id")
        has_parent = isinstance(parent, str) and parent != "" and not is_zero_id(parent)
        return SpanRow(
            trace_id=id_from_text(_get(span, "traceId", "trace_id"), TRACE_ID_BYTES, "trace id"),
            span_id=id_from_text(_get(span, "spanId", "span_id"), SPAN_ID_BYTES, "span id"),
            parent_span_id=id_from_text(parent, SPAN_ID_BYTES, "parent span id") if has_parent else None,
            name=clean(str(span.get("name") or "")),
            kind=_enum(span.get("kind"), KINDS, "SPAN_KIND_", "kind"),
            service=self.service,
            scope=_text(scope.get("name")),
            scope_version=_text(scope.get("version")),
            started_at=moment(start, "start time"),
            ended_at=moment(end, "end time"),
            duration_ms=(end - start) / 1e6,
            status=_enum(status.get("code"), STATUSES, "STATUS_CODE_", "status code"),
            status_message=_text(status.get("message")),
            attributes=to_json(attributes(span.get("attributes"))),
            resource_attributes=self.text,
            events=to_json([_event(event) for event in span.get("events") or ()]),
        )


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    time = _integer(_get(event, "timeUnixNano", "time_unix_nano") or 0)
    return {
        "name": str(event.get("name") or ""),
        "time": moment(time, "time of an event").isoformat(),
        "attributes": attributes(event.get("attributes")),
    }


def _get(span: Mapping[str, Any], name: str, snake: str) -> Any:
    return span[name] if name in span else span.get(snake)


def _text(value: object) -> str | None:
    return clean(str(value)) if value else None


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise BadSpan(f"{value!r} is not a number of nanoseconds"[:120])
    return int(value)


def _enum(value: object, names: tuple[str, ...], prefix: str, what: str) -> str:
    if value is None:
        return names[0]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    if isinstance(value, str):
        if value.isdecimal() and int(value) < len(names):
            return names[int(value)]
        if value.startswith(prefix) and value[len(prefix) :].lower() in names:
            return value[len(prefix) :].lower()
    raise BadSpan(f"{what} {value!r} is not one of OTLP"[:120])


def attributes(pairs: object) -> dict[str, Any]:
    """Attributes as plain values."""
    if pairs is None:
        return {}
    if isinstance(pairs, Mapping):
        return {str(key): _number(value) for key, value in pairs.items()}
    if not isinstance(pairs, Sequence) or isinstance(pairs, str):
        raise BadSpan("attributes are not a list")
    return {str(pair.get("key", "")): plain(pair.get("value")) for pair in pairs}


def plain(value: object) -> Any:
    """One AnyValue as JSON can hold it."""
    if not isinstance(value, Mapping):
        return _number(value)
    for name, item in value.items():
        if item is None:
            continue
        match name:
            case "stringValue" | "string_value" | "bytesValue" | "bytes_value":
                return item if isinstance(item, str) else str(item)
            case "intValue" | "int_value":
                return int(item)
            case "doubleValue" | "double_value":
                return number(float(item))
            case "boolValue" | "bool_value":
                return item if isinstance(item, bool) else str(item).lower() == "true"
            case "arrayValue" | "array_value":
                return [plain(each) for each in item.get("values") or ()]
            case "kvlistValue" | "kvlist_value":
                return attributes(item.get("values"))
    return None


def _number(value: Any) -> Any:
    return number(value) if isinstance(value, float) else value
