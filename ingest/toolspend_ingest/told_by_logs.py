"""What log records say is put to the span that they are about, whichever came first.

A record names the span that was current when it was made. Most instrumentations make that the request's; where it is
the one around the request, the request is that span of the same instrumentation, below it, that the record was made
in. A span says more than its records: they say what it does not.

A record of a whole request whose span never came (a sampler left it out) stands for the span, as far as it says tokens.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from toolspend import attributes as at

from . import json_text
from .otlp_values import LOG_KIND, BadSpan, moment
from .rows import Span
from .vocabularies.conventions import REQUESTS, STOP_REASONS
from .vocabularies.evidence import compact
from .vocabularies.log_records import DETAILS, is_answer

_SLACK: Final = timedelta(milliseconds=1)
_PROMPT: Final = (
    at.CONTEXT_DELTA,
    at.CONTEXT_SEGMENTS,
    at.CONTEXT_CHARS,
    at.CONTEXT_CACHE_MARKS,
    at.TOOL_DEFINITIONS,
)
_SAID: Final = {*_PROMPT, at.OUTPUT_SEGMENTS, at.FINISH_REASONS}


@dataclass(slots=True)
class _Record:
    """One record: who made it, when, where among those that came with it, and what it says."""

    row: Span
    id: str
    name: str
    time_ns: int
    place: int
    at: datetime
    is_told: bool
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int, str]:
        return self.time_ns, self.place, self.id


def folded(spans: list[Span]) -> list[Span]:
    """The spans of one trace (translated), with what log records say of them; the records' rows say nothing then."""
    rows = [span for span in spans if span.kind == LOG_KIND]
    if not rows:
        return spans
    records = _records(rows)
    own = {span.span_id: span for span in spans if span.kind != LOG_KIND}
    near: dict[tuple[str, str | None], list[Span]] = defaultdict(list)
    for span in own.values():
        if span.parent_span_id is not None and _is_request(span):
            near[span.parent_span_id, span.scope].append(span)
    told: dict[str, list[_Record]] = defaultdict(list)
    for record in records:
        if (owner := _owner(record, own, near)) is not None:
            told[owner].append(record)
    for span_id, listed in told.items():
        if (teller := own.get(span_id) or _stand_in(span_id, listed)) is not None:
            own[span_id] = _saying(teller, listed)
    return [*own.values(), *(replace(row, attributes={}) for row in rows)]


def _records(rows: Sequence[Span]) -> list[_Record]:
    """Every record once, however often and in whatever company it came, in the order that they were made in."""
    found: dict[str, _Record] = {}
    for row in sorted(rows, key=lambda each: each.span_id):
        listed = row.attributes.get(at.LOG_EVIDENCE)
        for place, each in enumerate(listed if isinstance(listed, list) else ()):
            record = _record(row, place, each)
            if record is not None and (record.id not in found or record.order < found[record.id].order):
                found[record.id] = record
    return sorted(found.values(), key=lambda each: each.order)


def _record(row: Span, place: int, each: object) -> _Record | None:
    if not isinstance(each, Mapping) or not isinstance(said := each.get("said"), Mapping):
        return None
    time_ns = each.get("time_ns")
    try:
        time_ns = time_ns if type(time_ns) is int else 0
        made_at = moment(time_ns, "time of the record")
    except BadSpan:
        return None
    is_told = each.get("is_told") is True
    return _Record(row, str(each.get("id")), str(each.get("name")), time_ns, place, made_at, is_told, said)


def _is_request(span: Span) -> bool:
    return span.text(at.OPERATION) in REQUESTS


def _owner(
    record: _Record, own: Mapping[str, Span], near: Mapping[tuple[str, str | None], Sequence[Span]]
) -> str | None:
    """The request that a record is about, by its id."""
    named = record.row.parent_span_id or ""
    span = own.get(named)
    if span is not None and _is_request(span) and span.scope == record.row.scope:
        return named
    around = [
        each
        for each in near.get((named, record.row.scope), ())
        if each.started_at - _SLACK <= record.at <= each.ended_at + _SLACK
    ]
    if around:
        if is_answer(record.name):
            return min(around, key=lambda each: (each.ended_at, each.span_id)).span_id
        return max(around, key=lambda each: (each.started_at, each.span_id)).span_id
    return named if span is None or _is_request(span) else None


def _stand_in(span_id: str, records: Sequence[_Record]) -> Span | None:
    """The request that a record tells of whole, under the id of the span that did not come."""
    record = next((each for each in reversed(records) if each.name == DETAILS), None)
    if record is None or not any(name in record.said for name in (at.INPUT_TOKENS, at.OUTPUT_TOKENS)):
        return None
    row = record.row
    return Span(
        trace_id=row.trace_id,
        span_id=span_id,
        parent_span_id=None,
        name=record.name,
        kind="client",
        service=row.service,
        scope=row.scope,
        scope_version=row.scope_version,
        started_at=record.at,
        ended_at=record.at,
        duration_ms=math.nan,  # no record says when the request began
        status="error" if at.ERROR_TYPE in record.said else "unset",
        attributes=record.said,
    )


def _saying(span: Span, records: Sequence[_Record]) -> Span:
    """The span with what its records say that it does not."""
    said = _of_messages(records)
    for record in records:
        if record.name == DETAILS:
            if at.CONTEXT_DELTA in record.said:
                said = _without_prompt(said)
            said |= {name: value for name, value in record.said.items() if name in _SAID}
    if at.CONTEXT_DELTA in span.attributes:
        said = _without_prompt(said)
    if any(name in span.attributes for name in STOP_REASONS):
        said.pop(at.FINISH_REASONS, None)
    return span.saying({name: value for name, value in said.items() if name not in span.attributes})


def _without_prompt(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in _PROMPT}


def _of_messages(records: Sequence[_Record]) -> dict[str, Any]:
    """What records of single messages say together."""
    said: dict[str, Any] = {}
    messages = [each for each in records if each.name != DETAILS]
    if any(each.is_told for each in messages):
        segments = list(_prompt(messages))
        heads = [each.said for each in messages if at.CONTEXT_SEGMENTS in each.said]
        if heads:
            segments.sort(key=lambda segment: not _is_definition(segment))
            said[at.CONTEXT_SEGMENTS] = len(segments)
            said[at.CONTEXT_CHARS] = sum(map(_chars, segments))
            said |= {name: heads[-1][name] for name in (at.TOOL_DEFINITIONS,) if name in heads[-1]}
        said[at.CONTEXT_DELTA] = compact(segments)
    outputs = [each.said[at.OUTPUT_SEGMENTS] for each in messages if at.OUTPUT_SEGMENTS in each.said]
    if outputs:
        said[at.OUTPUT_SEGMENTS] = compact([segment for each in outputs for segment in _list(each)])
    reasons = [each.said[at.FINISH_REASONS] for each in messages if at.FINISH_REASONS in each.said]
    if reasons:
        said[at.FINISH_REASONS] = reasons[0]
    return said


def _prompt(messages: Sequence[_Record]) -> Iterator[list[Any]]:
    """The segments of a prompt. A result gets the tool of its call, and without an id the call that is next to be
    answered; one that two records say is one of them."""
    tools: dict[str, str] = {}
    open_calls: list[str] = []
    results: dict[str, str] = {}
    for record in messages:
        for segment in _list(record.said.get(at.CONTEXT_DELTA)):
            if not isinstance(segment, list) or len(segment) < 2:
                continue
            kind, _, tool, call_id = (*segment, None, None)[:4]
            if kind == at.SEGMENT_CALL and isinstance(tool, str) and isinstance(call_id, str):
                tools[call_id] = tool
                open_calls.append(call_id)
            elif kind == at.SEGMENT_RESULT:
                if not call_id and open_calls:
                    call_id = open_calls[0]
                if call_id in open_calls:
                    open_calls.remove(call_id)
                if isinstance(call_id, str) and call_id:
                    if results.setdefault(call_id, record.id) != record.id:
                        continue
                    segment = [*segment[:2], tool or tools.get(call_id, ""), call_id, *segment[4:]]
            yield segment


def _is_definition(segment: Sequence[Any]) -> bool:
    return bool(segment[0] == at.SEGMENT_DEFINITION)


def _chars(segment: Sequence[Any]) -> int:
    return segment[1] if type(segment[1]) is int else 0


def _list(text: object) -> list[Any]:
    try:
        value = json_text.read(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []
