"""One call, one bill: of the spans that tell of one request, one stands for it, and the others are marked; so it is
with runs of tools.

Two spans tell of one request where they have the provider's id of one response; where one lies within the other; where
they are the two halves of a stream; or where two emitters that watch one call, of which one says no id, agree on its
time, model and tokens. The span that says most stands for the request, and takes from the others what it lacks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import astuple, replace

from toolspend import attributes as at

from .rows import Evidence, LlmRequest, RequestCopy, ToolCall
from .traces import STREAM, SUM, TraceRows, complete_call, is_same_usage

RESPONSE: Final = "response_id"
TWIN: Final = "twin"
_SDK: Final = "com.anthropic.sdk."
_USAGE: Final = (
    "input_tokens",
    "uncached_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "is_usage_known",
)
_SAID_BY_OWN: Final = ("model", "stop_reason", "service_tier")
_PROMPT: Final = ("base_request_id", "delta", "restated", "segments", "chars", "cache_marks")
_SLACK: Final = timedelta(milliseconds=2)
"""Clocks differ in their resolution: so much may a span stick out of the one around it."""


@dataclass(slots=True, eq=False)
class _Told:
    """A request as one span tells of it; those of one call have one leader."""

    request: LlmRequest
    rows: TraceRows
    leader: _Told | None = None
    ids: set[str] = field(default_factory=set)
    reason: str = ""

    @property
    def started_at(self) -> datetime:
        return self.request.started_at

    @property
    def ended_at(self) -> datetime:
        return self.request.ended_at

    @property
    def evidence(self) -> Evidence | None:
        return self.rows.evidence.get(self.request.request_id)

    @property
    def is_root(self) -> bool:
        return self.request.request_id in self.rows.roots

    @property
    def conversation(self) -> str | None:
        return self.rows.conversations.get(self.request.request_id)

    def head(self) -> _Told:
        found = self
        while found.leader is not None:
            found = found.leader
        return found


def bill_once(traces: Iterable[TraceRows]) -> None:
    """Leaves each request of these traces told by one span; the others become rows of `request_copies`."""
    told = [
        _Told(request, rows, ids={request.response_id} if request.response_id else set())
        for rows in traces
        for request in rows.requests
    ]
    told.sort(key=lambda each: (each.started_at, each.request.trace_id, each.request.request_id))
    _join_linked(told)
    _join_responses(told)
    _join_twins(told)
    groups: dict[_Told, list[_Told]] = defaultdict(list)
    for each in told:
        groups[each.head()].append(each)
    for group in groups.values():
        if len(group) > 1:
            _settle(group)


def run_once(traces: Iterable[TraceRows]) -> None:
    """Leaves each run of a tool told by one span, in traces of whole sessions: two emitters tell of one run where they
    name the same call and ran at the same time. What one emitter tells twice was run twice."""
    ran: dict[tuple[str, str], list[tuple[ToolCall, TraceRows]]] = defaultdict(list)
    for rows in traces:
        for call in rows.tool_calls:
            if call.tool_call_id is not None:
                ran[call.session_id, call.tool_call_id].append((call, rows))
    for listed in ran.values():
        if len(listed) > 1:
            _run_once(listed)


def _run_once(listed: list[tuple[ToolCall, TraceRows]]) -> None:
    listed.sort(key=lambda each: (each[0].started_at, each[0].span_id or ""))
    kept: list[tuple[ToolCall, set[str | None]]] = []
    for call, rows in listed:
        scope = rows.scopes.get(call.span_id or "")
        found = next((each for each in kept if scope not in each[1] and _ran_beside(each[0], call)), None)
        if found is None:
            kept.append((call, {scope}))
        else:
            complete_call(found[0], call)
            found[1].add(scope)
            rows.tool_calls = [each for each in rows.tool_calls if each is not call]


def _ran_beside(one: ToolCall, later: ToolCall) -> bool:
    ended_at = one.started_at + timedelta(milliseconds=one.duration_ms or 0.0)
    return later.started_at <= ended_at + _SLACK


def _join(one: _Told, other: _Told, reason: str) -> None:
    head, below = one.head(), other.head()
    if head is below or (head.ids and below.ids and head.ids != below.ids):
        return
    below.leader = head
    head.ids |= below.ids
    other.reason = other.reason or reason
    if reason != SUM:
        one.reason = one.reason or reason


def _join_linked(told: Sequence[_Told]) -> None:
    """What the spans of a trace show by where they lie."""
    by_id = {(each.request.trace_id, each.request.request_id): each for each in told}
    for rows in {id(each.rows): each.rows for each in told}.values():
        for one, other, reason in rows.links:
            _join(by_id[one.trace_id, one.request_id], by_id[other.trace_id, other.request_id], reason)


def _join_responses(told: Sequence[_Told]) -> None:
    first: dict[str, _Told] = {}
    for each in told:
        if each.request.response_id:
            _join(first.setdefault(each.request.response_id, each), each, RESPONSE)


def _join_twins(told: Sequence[_Told]) -> None:
    """Two emitters' spans of one call where no id says so: each with the one that fits it most closely in time."""
    found: list[tuple[timedelta, datetime, str, str, _Told, _Told]] = []
    for one, other in _beside(told):
        inner, outer = sorted((one, other), key=lambda each: (each.ended_at - each.started_at, each.request.request_id))
        if _are_twins(inner, outer):
            room = (outer.ended_at - outer.started_at) - (inner.ended_at - inner.started_at)
            ids = (outer.request.request_id, inner.request.request_id)
            found.append((room, outer.started_at, *ids, outer, inner))
    taken: set[tuple[_Told, str | None]] = set()
    for *_, outer, inner in sorted(found, key=lambda each: each[:4]):
        pairs = {(outer, inner.request.scope), (inner, outer.request.scope)}
        if taken.isdisjoint(pairs):
            taken |= pairs
            _join(outer, inner, TWIN)


def _beside(told: Sequence[_Told]) -> Iterator[tuple[_Told, _Told]]:
    """Requests without an id, each with those that it may be told by too: of its trace, or with the same tokens."""
    silent = [each for each in told if not each.request.response_id]
    if not silent:
        return
    near: dict[object, list[_Told]] = defaultdict(list)
    for each in told:
        near[each.request.trace_id].append(each)
        near[_tokens(each)].append(each)
    longest = {key: max(each.ended_at - each.started_at for each in group) for key, group in near.items()}
    for each in silent:
        for key in (each.request.trace_id, _tokens(each)):
            group = near[key]
            place = bisect_left(group, each.started_at - longest[key] - _SLACK, key=lambda other: other.started_at)
            while place < len(group) and group[place].started_at <= each.ended_at + _SLACK:
                other = group[place]
                if other is not each and (other.request.response_id or id(each) < id(other)):
                    yield each, other
                place += 1


def _tokens(told: _Told) -> tuple[str | None, int | None]:
    return told.request.service, told.request.input_tokens


def _are_twins(inner: _Told, outer: _Told) -> bool:
    one, other = inner.request, outer.request
    if one.scope == other.scope or not _is_same_model(one.model, other.model) or not is_same_usage(one, other):
        return False
    if inner.started_at < outer.started_at - _SLACK or inner.ended_at > outer.ended_at + _SLACK:
        return False
    if one.trace_id == other.trace_id:
        return True
    # In another trace, as the context was lost: then it is a trace of its own, and the tokens must be said.
    if None not in (named := {inner.conversation, outer.conversation}) and len(named) > 1:
        return False
    return inner.is_root and one.service == other.service and one.input_tokens is not None and bool(one.input_tokens)


def _is_own(scope: str | None) -> bool:
    """Whether it is the SDK's own span, of any of its clients, or ours: what these say of usage, model and end is what
    the response said."""
    return scope is not None and (scope == at.SCOPE or scope.startswith(_SDK))


def _is_same_model(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return True
    short, long = sorted((one.rpartition("/")[2].lower(), other.rpartition("/")[2].lower()), key=len)
    return long.startswith(short)


def _settle(group: list[_Told]) -> None:
    """The fullest stands, and takes what it lacks; the earliest of equals."""
    candidates = [each for each in group if each.reason != SUM] or group
    has_several_traces = len({each.request.trace_id for each in candidates}) > 1
    ranked = sorted(candidates, key=lambda each: _richness(each, has_several_traces), reverse=True)
    best = ranked[0]
    request = best.request
    known = (each.request for each in ranked if each.request.is_usage_known)
    source = next((each for each in known if _is_own(each.scope)), None)
    if source is not None and source is not request:
        for name in _USAGE:
            setattr(request, name, getattr(source, name))
        for name in _SAID_BY_OWN:
            setattr(request, name, getattr(source, name) or getattr(request, name))
    for each in ranked[1:]:
        _complete(request, each.request)
        _lend(best, each)
    if any(each.reason == STREAM for each in group):
        ended_at = max(each.ended_at for each in group)
        request.started_at = min(each.started_at for each in group)
        if request.duration_ms is not None:
            request.duration_ms = (ended_at - request.started_at) / timedelta(milliseconds=1)
    for each in group:
        if each is not best:
            own = each.request
            each.rows.copies.append(
                RequestCopy(own.request_id, own.trace_id, request.request_id, request.trace_id, own.scope, each.reason)
            )
            if own.session_id != request.session_id and own.scope == request.scope:
                each.rows.drop_copy(own.request_id)  # what goes on in a fork goes on from it there
            else:
                each.rows.drop_request(own.request_id)


def _richness(told: _Told, has_several_traces: bool) -> tuple[bool, bool, bool, bool, int]:
    request, evidence = told.request, told.evidence
    is_apart = has_several_traces and told.is_root and told.reason == TWIN
    filled = sum(value is not None for value in astuple(request))
    has_own_evidence = evidence is not None and _is_own(request.scope)
    return request.is_usage_known, not is_apart, has_own_evidence, evidence is not None, filled


def _complete(request: LlmRequest, other: LlmRequest) -> None:
    for name in LlmRequest.__struct_fields__:
        if name not in _USAGE and getattr(request, name) is None:
            setattr(request, name, getattr(other, name))


def _lend(best: _Told, other: _Told) -> None:
    """What the other's evidence says and the best's does not."""
    own, more = best.evidence, other.evidence
    if more is None:
        return
    request = best.request
    if own is None:
        own = Evidence(request.request_id, request.trace_id, request.started_at, request.session_id)
    if own.delta is None or (own.segments is None and more.segments is not None):
        own = replace(own, **{name: getattr(more, name) for name in _PROMPT})
    if own.output is None:
        own = replace(own, output=more.output)
    best.rows.evidence[request.request_id] = own
