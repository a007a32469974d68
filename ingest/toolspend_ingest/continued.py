"""Sessions as they were derived, and the rows that spans add to one that goes on.

The steps are those of `traces` and `sessions`, for what is new and the calls that it touches. Where spans could change
other rows, `NotContinued` is raised, and the sessions are derived whole.
"""

from __future__ import annotations

from collections import ChainMap, OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

from msgspec.structs import replace

from .attribution.densities import is_settled
from .attribution.growth import Growth
from .otlp_values import LOG_KIND
from .prices import PriceBook
from .rows import Evidence, LlmRequest, SeenDefinition, Span, ToolBatch, ToolCall
from .seen import Seen
from .sessions import Said, SessionRows, complete, finish, without_span
from .traces import TraceRows, trace_rows
from .trees import INHERITED, Tree, names_in

_LAST: Final = 16
"""How many prompts' kinds are kept: those that a request may build on."""
_MOST_SESSIONS: Final = 64


class NotContinued(Exception):
    """Spans that may change rows of earlier ones."""


class Below(NamedTuple):
    """What lies below a span that has not come: the attributes that it does without, and whether it needs a batch."""

    names: frozenset[str]
    needs_batch: bool

    def beside(self, other: Below) -> Below:
        """Both together."""
        return Below(self.names & other.names, self.needs_batch or other.needs_batch)


class Told(NamedTuple):
    """What spans of a trace told, before their rows were joined with those of others."""

    speakers: frozenset[str]
    sessions: frozenset[str]
    loose: frozenset[str | None]
    """The runs of tools in no batch."""

    @classmethod
    def by(cls, rows: TraceRows) -> Told:
        """What made these rows."""
        loose = frozenset(call.span_id for call in rows.tool_calls if call.batch_id is None)
        return cls(frozenset(rows.said), frozenset(rows.sessions()), loose)


class KnownTrace:
    """The spans of a trace, with what others inherit from them."""

    def __init__(self) -> None:
        self.spans: dict[str, Span] = {}
        self.unread: set[str] = set()
        """The ids of those that say nothing, and were above none that does when the trace was read."""
        self.named = names_in(())
        self.speakers: set[str] = set()
        self.awaited: dict[str, Below] = {}
        """Spans that have not come, above those that say something."""
        self.sessions: set[str] = set()
        self.recorded: set[str | None] = set()
        """Spans that log records name, come or not."""

    def add(self, spans: Sequence[Span], told: Told) -> None:
        """More spans, and what they told."""
        self.spans.update((span.span_id, _slim(span)) for span in spans)
        self.unread.difference_update(span.span_id for span in spans)
        for name, values in names_in(spans).items():
            self.named[name] |= values
        self.speakers |= told.speakers
        self.sessions |= told.sessions
        self.recorded |= {span.parent_span_id for span in spans if span.kind == LOG_KIND}
        for span_id in told.speakers:
            self._await(span_id, Below(frozenset(), span_id in told.loose))
        for span in spans:
            if (below := self.awaited.pop(span.span_id, None)) is not None:
                self._await(span.span_id, below)

    def _await(self, span_id: str, below: Below) -> None:
        chain = [self.spans[span_id], *_above(self.spans[span_id], self.spans)]
        if (parent := chain[-1].parent_span_id) is not None:
            found = Below(below.names.union(*(each.attributes for each in chain)), below.needs_batch)
            self.awaited[parent] = found.beside(self.awaited.get(parent, found))

    def rows_of(self, spans: Sequence[Span]) -> TraceRows:
        """The rows that new spans make."""
        if any(span.span_id in self.spans or span.span_id in self.unread for span in spans):
            raise NotContinued("a span has the id of another")
        if any(span.parent_span_id in self.unread for span in spans):
            raise NotContinued("a span lies below one that was not read")
        named = {span.span_id for span in spans} | {span.parent_span_id for span in spans}
        if not self.recorded.isdisjoint(named) or any(span.kind == LOG_KIND for span in spans):
            raise NotContinued("log records tell of a span")
        if self.spans and any(values - self.named[name] for name, values in names_in(spans).items()):
            raise NotContinued("a trace names another session")
        every = ChainMap({span.span_id: span for span in spans}, self.spans)
        above = {each.span_id: each for span in spans for each in _above(span, every) if each.span_id in self.spans}
        rows = trace_rows(spans, Tree([*above.values(), *spans], self.named if self.spans else None))
        if rows.said and above.keys() & self.speakers:
            raise NotContinued("a span lies below one that says something")
        for span in spans:
            if (below := self.awaited.get(span.span_id)) is not None:
                self._check(below, [span, *_above(span, every)], rows)
        return rows

    def _check(self, below: Below, late: Iterable[Span], rows: TraceRows) -> None:
        """Whether spans that came to lie above others leave them as they are."""
        for span in late:
            said = rows.said.get(span.span_id)
            is_plain = span.span_id not in self.speakers and _slim(span).attributes.keys() <= below.names
            if said is not None:
                is_plain &= said.request is None and said.tool_call is None and said.compression is None
                is_plain &= said.batch is None or not below.needs_batch
            if not is_plain:
                raise NotContinued("a span lies above others that came before it")


def _above(span: Span, spans: Mapping[str, Span]) -> Iterator[Span]:
    """The spans above one, as far as they have come."""
    seen = {span.span_id}
    while (found := spans.get(span.parent_span_id or "")) is not None and found.span_id not in seen:
        seen.add(found.span_id)
        yield found
        span = found


def _slim(span: Span) -> Span:
    """A span with no more than what others inherit from it."""
    names = span.attributes.keys() & INHERITED
    return replace(
        span,
        attributes={name: span.attributes[name] for name in names if span.attributes[name] is not None},
        events=[],
    )


@dataclass(slots=True)
class Changes:
    """The rows that a session got: those that are new or in place of others, and what is gone."""

    growth: Growth
    batches: list[ToolBatch] = field(default_factory=list)
    definitions: list[SeenDefinition] = field(default_factory=list)
    deleted_calls: list[str] = field(default_factory=list)
    """Calls whose rows go, by their ids; those that only changed come back."""
    deleted_between: tuple[datetime, datetime] | None = None
    """When those rows began."""
    deleted_batches: list[str] = field(default_factory=list)


class KnownSession:
    """The rows of one session, as far as later ones may touch them."""

    def __init__(self, rows: SessionRows, said: Said) -> None:
        self.said = said
        self.scope = rows.requests[0].scope
        self.last_at: datetime = max(row.started_at for row in rows.requests)
        self.calls: dict[str, ToolCall] = {}
        self.batches = {batch.batch_id: batch for batch in rows.batches}
        self._by_request: dict[str | None, dict[str, ToolCall]] = defaultdict(dict)
        self._by_batch: dict[str, dict[str, ToolCall]] = defaultdict(dict)
        for call in rows.tool_calls:
            self._put(call)
        self._forget()

    @staticmethod
    def can_be_kept(rows: SessionRows, said: Said) -> bool:
        """Whether one emitter tells of a session, every call of it has an id of its own, and it is long enough that it
        is not attributed whole."""
        ids = {call.tool_call_id for call in rows.tool_calls}
        if len({row.scope for row in rows.requests}) != 1:  # several emitters may tell of one call
            return False
        if said.has_strays or said.unsaid.is_uncertain:
            return False
        return is_settled(len(rows.requests)) and len(ids) == len(rows.tool_calls)

    def go_on(self, traces: Sequence[TraceRows]) -> Changes:
        """The rows that come with those of new spans. Where it raises, the session is no longer to be used."""
        if any(rows.compressions for rows in traces):
            raise NotContinued("a result was compressed")
        requests = sorted(
            (row for rows in traces for row in rows.requests), key=lambda row: (row.started_at, row.request_id)
        )
        if any(row.scope != self.scope for row in requests):
            raise NotContinued("another emitter tells of the session")
        evidence = {name: row for rows in traces for name, row in rows.evidence.items()}
        batches = {batch.batch_id: batch for rows in traces for batch in rows.batches}
        if batches.keys() & self.batches.keys():
            raise NotContinued("a batch has the id of another")
        asked_ids, result_ids = self._hear(requests, evidence)
        calls = sorted(
            (call for rows in traces for call in rows.tool_calls),
            key=lambda call: (call.started_at, call.span_id or ""),
        )
        old = {call.tool_call_id: self._replace(call) for call in calls}
        replaced = {id_: started_at for id_, started_at in old.items() if started_at is not None}
        for id_ in asked_ids:
            if id_ not in self.calls:
                calls.append(without_span(self.said.asked[id_], id_))
                self._put(calls[-1])
            elif all(self.calls[id_] is not call for call in calls):
                raise NotContinued("a call ran before it was asked for")
        new = {call.tool_call_id or "": call for call in calls}
        known = [self.calls[id_] for id_ in result_ids if id_ in self.calls and id_ not in new]
        known += [call for batch_id in batches for id_, call in self._by_batch[batch_id].items() if id_ not in new]
        if any(call.batch_id in self.batches for call in calls):
            raise NotContinued("a batch has another call")
        group = self._group([*calls, *known])
        was = {call.tool_call_id: replace(call) for call in group if call.tool_call_id not in new}
        deleted_batches = self._undo_batches(group)
        for call in (*calls, *known):
            complete(call, self.said)
        explicit = [
            *batches.values(),
            *(self.batches[each] for each in {call.batch_id or "" for call in group} & self.batches.keys()),
        ]
        made = finish(group, explicit, self.said.asked)
        for batch in (*batches.values(), *made):
            self.batches[batch.batch_id] = batch
        for call in group:
            self._put(call)
        changed = [call for call in group if call.tool_call_id in new or was[call.tool_call_id] != call]
        deleted = {call.tool_call_id for call in changed} - new.keys() | replaced.keys()
        started = [replaced[id_] if id_ in replaced else was[id_].started_at for id_ in deleted]
        self._forget()
        selections = [row for rows in traces for row in rows.selections]
        return Changes(
            Growth(requests, evidence, changed, selections),
            [*batches.values(), *made],
            [row for rows in traces for row in rows.definitions],
            sorted(id_ for id_ in deleted if id_ is not None),
            (min(started), max(started)) if started else None,
            deleted_batches,
        )

    def _hear(self, requests: Iterable[LlmRequest], evidence: dict[str, Evidence]) -> tuple[list[str], list[str]]:
        """Tells what new requests say; gives the calls that they ask for, and those whose results they have."""
        said = self.said
        asked, results = len(said.asked), len(said.results)
        versions = {tool: len(known) for tool, known in said.versions.items()}
        for request in requests:
            row = evidence.get(request.request_id)
            if request.started_at <= self.last_at:
                raise NotContinued("a request is not later than all before it")
            if row is not None and row.base_request_id is not None and row.base_request_id not in said.kinds:
                raise NotContinued("a request builds on an early one")
            said.add(request, row)
            if said.unsaid.is_uncertain:
                raise NotContinued("a prompt goes on from an early one")
            self.last_at = request.started_at
        tools = {call.tool for call in self.calls.values()}
        if any(versions.get(tool, 0) != len(known) for tool, known in said.versions.items() if tool in tools):
            raise NotContinued("a tool has another version")
        return list(islice(said.asked, asked, None)), list(islice(said.results, results, None))

    def _replace(self, call: ToolCall) -> datetime | None:
        """Takes a run in, and says when the row began that its call had while no span told of it, if it had one."""
        id_ = call.tool_call_id
        if id_ is None:
            raise NotContinued("a call has no id")
        old = self.calls.get(id_)
        if old is not None and old.span_id is not None:
            raise NotContinued("a call was run again")
        if old is not None:
            self._by_request[old.request_id].pop(id_)
            self._by_batch.get(old.batch_id or "", {}).pop(id_, None)
        if id_ in self.said.asked:
            call.request_id = self.said.asked[id_].request.request_id
        self._put(call)
        return old.started_at if old is not None else None

    def _put(self, call: ToolCall) -> None:
        id_ = call.tool_call_id or ""
        self.calls[id_] = call
        self._by_request[call.request_id][id_] = call
        if call.batch_id is not None:
            self._by_batch[call.batch_id][id_] = call

    def _group(self, calls: Iterable[ToolCall]) -> list[ToolCall]:
        """Calls and those that were asked for or ran with them, as `join` orders them."""
        found = {call.tool_call_id or "": call for call in calls}
        for call in list(found.values()):
            if call.request_id is not None:
                found.update(self._by_request[call.request_id])
        for call in list(found.values()):
            if call.batch_id is not None:
                found.update(self._by_batch[call.batch_id])
        order = {id_: place for place, id_ in enumerate(self.said.asked)} if len(found) > 1 else {}
        return sorted(
            found.values(),
            key=lambda call: (
                call.span_id is None,
                call.started_at if call.span_id is not None else datetime.min,
                call.span_id or "",
                order.get(call.tool_call_id or "", -1),
            ),
        )

    def _undo_batches(self, group: Iterable[ToolCall]) -> list[str]:
        """Takes back the batches that no span told of: they are made again."""
        undone = {call.request_id for call in group if call.request_id is not None} & self.batches.keys()
        for batch_id in undone:
            del self.batches[batch_id]
            for call in self._by_batch.pop(batch_id, {}).values():
                call.batch_id = None
        return sorted(undone)

    def _forget(self) -> None:
        for name in list(islice(self.said.kinds, max(len(self.said.kinds) - _LAST, 0))):
            del self.said.kinds[name]
        outputs = self.said.unsaid.outputs
        for name in list(islice(outputs, max(len(outputs) - _LAST, 0))):
            del outputs[name]


class Continued:
    """The sessions and traces that are known, for the transaction that is open and those that follow it.

    A session is taken out when it is touched, and kept again as it is then. Whoever rolls back must `clear`.
    """

    def __init__(self) -> None:
        self.traces: dict[str, KnownTrace] = {}
        self.sessions: OrderedDict[str, KnownSession] = OrderedDict()
        self.steps = 0
        """How often a session was added to without being derived whole."""
        self.book: PriceBook | None = None
        self.emitters: set[tuple[str | None, str | None]] | None = None
        """Services and instrumentations that told of their requests, and maybe some whose requests are gone."""
        self.responses: Seen | None = None
        """Responses that requests have had."""
        self.stored: Seen | None = None
        """Traces of which spans are stored."""

    def keep(self, session_id: str, session: KnownSession, traces: Iterable[tuple[str, KnownTrace]]) -> None:
        """Keeps a session with its traces, which are of no other."""
        self.sessions[session_id] = session
        self.sessions.move_to_end(session_id)
        self.traces.update(traces)
        while len(self.sessions) > _MOST_SESSIONS:
            self.forget(next(iter(self.sessions)))

    def forget(self, session_id: str) -> None:
        """Forgets a session and its traces."""
        session = self.sessions.pop(session_id, None)
        if session is not None:
            for trace_id in [each for each in self.traces if session_id in self.traces[each].sessions]:
                del self.traces[trace_id]

    def clear(self) -> None:
        """Forgets everything."""
        self.sessions.clear()
        self.traces.clear()
        self.book = None
        self.emitters = None
        self.responses = None
        self.stored = None
