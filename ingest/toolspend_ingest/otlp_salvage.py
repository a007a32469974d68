"""What is whole in a damaged ExportTraceServiceRequest.

The message is walked by hand: a field that is cut off or unreadable costs itself, and the walk goes on at the next
place that has the unmistakable shape of a span or of a resource's spans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

_LENGTH = 2  # wire type of a field that says its length
# Field 2 (a span) whose first fields are a trace id of 16 bytes and a span id of 8.
_SPAN = re.compile(rb"\x12(?=[\x80-\xff]{0,4}[\x00-\x7f]\x0a\x10[\x00-\xff]{16}\x12\x08)")
# Field 1 (a resource's spans) whose first field is a resource (1) or a scope's spans (2).
_RESOURCE_SPANS = re.compile(rb"\x0a(?=[\x80-\xff]{0,4}[\x00-\x7f][\x0a\x12])")


@dataclass(frozen=True)
class Damage:
    """Bytes that could not be read, from `start`."""

    start: int
    reason: str


@dataclass(frozen=True)
class _Field:
    number: int
    start: int
    """Of its content."""
    end: int


class _Broken(Exception):
    """The bytes from `position` on are not a field."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


def salvage(payload: bytes) -> Iterator[ResourceSpans | Damage]:
    """The whole spans of a damaged request, in messages of their resource, and the damage between them."""
    position = 0
    while position < len(payload):
        try:
            field, position = _field(payload, position, len(payload))
        except _Broken as broken:
            following = _next_resource_spans(payload, broken.position + 1)
            end = following if following is not None else len(payload)
            yield Damage(broken.position, f"{broken} ({end - broken.position} bytes)")
            yield from _resource_spans(payload, broken.position, end, is_framed=False)
            position = end
            continue
        if field.number == 1:
            yield from _resource_spans(payload, field.start, field.end, is_framed=True)
        else:
            yield Damage(field.start, f"unexpected field {field.number} ({field.end - field.start} bytes)")


def _resource_spans(payload: bytes, start: int, end: int, *, is_framed: bool) -> Iterator[ResourceSpans | Damage]:
    if is_framed:
        try:
            yield ResourceSpans.FromString(payload[start:end])
            return
        except DecodeError:
            yield Damage(start, f"a resource's spans are damaged ({end - start} bytes)")
    result = ResourceSpans()
    for number, content in _readable(payload, _content(payload, start) if not is_framed else start, end):
        if number == 1:
            _parse(Resource, payload[content.start : content.end], result.resource)
        elif number == 2:
            _scope_spans(payload, content.start, content.end, result)
    if result.scope_spans:
        yield result


def _scope_spans(payload: bytes, start: int, end: int, result: ResourceSpans) -> None:
    scope_spans = result.scope_spans.add()
    position = start
    while position < end:
        try:
            field, position = _field(payload, position, end)
        except _Broken:
            field, position = None, position + 1
        if field is not None and field.number == 1:
            _parse(InstrumentationScope, payload[field.start : field.end], scope_spans.scope)
        elif field is not None and field.number == 2 and _parse_span(payload, field, scope_spans.spans.add()):
            continue
        elif field is None or field.number == 2:
            if field is not None:
                del scope_spans.spans[-1]
                position = field.start
            found = _SPAN.search(payload, position, end)
            position = found.start() if found else end
    if not scope_spans.spans:
        del result.scope_spans[-1]


def _parse_span(payload: bytes, field: _Field, span: Span) -> bool:
    return _parse(Span, payload[field.start : field.end], span) and len(span.trace_id) == 16


def _parse(kind: type[Resource | InstrumentationScope | Span], content: bytes, into: object) -> bool:
    try:
        message = kind.FromString(content)
    except DecodeError:
        return False
    into.CopyFrom(message)  # type: ignore[attr-defined]
    return True


def _readable(payload: bytes, start: int, end: int) -> Iterator[tuple[int, _Field]]:
    """The fields up to the first that is broken; of that one, what is left is taken for a scope's spans."""
    position = start
    while position < end:
        try:
            field, position = _field(payload, position, end)
        except _Broken:
            yield 2, _Field(2, _content(payload, position), end)
            return
        yield field.number, field


def _content(payload: bytes, position: int) -> int:
    """Where the content begins of a field whose length cannot be true."""
    position += 1
    while position < len(payload) and payload[position] & 0x80:
        position += 1
    return position + 1


def _next_resource_spans(payload: bytes, position: int) -> int | None:
    for found in _RESOURCE_SPANS.finditer(payload, position):
        try:
            field, _ = _field(payload, found.start(), len(payload))
            inner, has_spans = field.start, False
            while inner < field.end:
                part, inner = _field(payload, inner, field.end)
                has_spans = has_spans or part.number == 2
            if has_spans and _SPAN.search(payload, field.start, field.end):
                return found.start()
        except _Broken:
            continue
    return None


def _field(payload: bytes, position: int, end: int) -> tuple[_Field, int]:
    """The field at `position` and where the next one begins; only fields that say their length are expected."""
    start = position
    tag, position = _varint(payload, position, end)
    if tag & 7 != _LENGTH or not 1 <= tag >> 3 <= 3:
        raise _Broken(start, "not an OTLP field")
    length, position = _varint(payload, position, end)
    if position + length > end:
        raise _Broken(start, "cut off")
    return _Field(tag >> 3, position, position + length), position + length


def _varint(payload: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    start = position
    while position < end and shift < 64:
        byte = payload[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
    raise _Broken(start, "cut off")
