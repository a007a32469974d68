"""The rows of one trace: its spans in the words of their dialects, each thing once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from toolspend import attributes as at

from . import segments, vocabularies
from .claude_code import PROVIDER_REQUEST_ID
from .rows import (
    Compression,
    Evidence,
    LlmRequest,
    Normalised,
    RequestCopy,
    SeenDefinition,
    Span,
    ToolBatch,
    ToolCall,
    ToolSelection,
)
from .trees import Tree
from .vocabularies import claude_code, logfire, vercel

NESTED: Final = "nested"
STREAM: Final = "stream"
SUM: Final = "sum"
"""Why two spans tell of one request: one lies within the other; they are the halves of a stream; the second says what
the requests within it add up to."""
_NOTHING: Final = Normalised()
_TRACE_ID: Final = re.compile("[0-9a-f]{32}")
Link: TypeAlias = tuple[LlmRequest, LlmRequest, str]
_FOLDED = (
    "tool_call_id",
    "tool_version",
    "declared_version",
    "server",
    "batch_id",
    "error_type",
    "argument_chars",
    "result_chars",
    "raw_result_chars",
    "has_side_effects",
)


@dataclass(slots=True)
class TraceRows:
    """Derived rows, before what only the whole session shows is joined."""

    requests: list[LlmRequest] = field(default_factory=list)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    """By request id."""
    tool_calls: list[ToolCall] = field(default_factory=list)
    batches: list[ToolBatch] = field(default_factory=list)
    selections: list[ToolSelection] = field(default_factory=list)
    compressions: list[Compression] = field(default_factory=list)
    definitions: list[SeenDefinition] = field(default_factory=list)
    said: dict[str, Normalised] = field(default_factory=dict)
    """What the spans say that rows were made of."""
    links: list[Link] = field(default_factory=list)
    """Requests of which the trace shows that they are one; the second is the half, or the sum."""
    roots: set[str] = field(default_factory=set)
    """The requests that have nothing above them."""
    copies: list[RequestCopy] = field(default_factory=list)
    scopes: dict[str, str] = field(default_factory=dict)
    """Who told of a request or a call, by its span."""
    provider_request_ids: dict[str, str] = field(default_factory=dict)
    """The provider's ids of requests, by request id."""
    conversations: dict[str, str] = field(default_factory=dict)
    """The conversations that requests name themselves, by request id; ids that are made of a trace's are no names."""

    def sessions(self) -> set[str]:
        """The sessions that the rows belong to."""
        named = {request.session_id for request in self.requests} | {call.session_id for call in self.tool_calls}
        named |= {batch.session_id for batch in self.batches} | {row.session_id for row in self.selections}
        return named | {compression.session_id for compression in self.compressions}

    def drop_copy(self, request_id: str) -> None:
        """Forget a request, and the runs of tools that it asked for, which another session has: this one was forked
        from it. What its prompt was made of stays: later requests go on from that."""
        if (row := self.evidence.get(request_id)) is not None:
            asked = {segment.id for segment in segments.outputs(row) if segment.kind == at.SEGMENT_CALL and segment.id}
            self.tool_calls = [call for call in self.tool_calls if call.tool_call_id not in asked]
        self.requests = [row for row in self.requests if row.request_id != request_id]

    def drop_request(self, request_id: str) -> None:
        """Forget a request that another span tells better."""
        self.requests = [row for row in self.requests if row.request_id != request_id]
        self.evidence.pop(request_id, None)


def trace_rows(spans: Sequence[Span], tree: Tree | None = None) -> TraceRows:
    """The rows of a trace's spans (translated), in any order; `tree` has them, and silent ones above them."""
    ordered = sorted(spans, key=lambda span: (span.started_at, span.span_id))
    tree = Tree(ordered) if tree is None else tree
    said: dict[str, Normalised] = {}
    for span in ordered:
        if at.OPERATION in span.attributes:
            said[span.span_id] = vocabularies.normalise(span)
        elif span.span_id in said:
            said[span.span_id] = _NOTHING
    _tell_of_lost(ordered, said, tree)
    told = [span for span in ordered if span.span_id in said]
    has_compressions = any(each.compression is not None for each in said.values())
    rows = TraceRows()
    for span in told:
        _add(rows, span, said[span.span_id], tree, said)
        if has_compressions and (request := said[span.span_id].request) is not None:
            above = (said.get(each.span_id, _NOTHING).compression for each in tree.ancestors(span))
            request.compressed_tool = next((found.tool for found in above if found is not None), None)
            for each in said[span.span_id].advice:
                each.compressed_tool = request.compressed_tool
    rows.tool_calls = _folded(told, said, tree)
    _link_requests(rows, told, said, tree)
    return rows


def _tell_of_lost(spans: Sequence[Span], said: dict[str, Normalised], tree: Tree) -> None:
    """What is around requests tells of them where none came; those that a tool made are its own.

    One that has no parent tells of none: where an application keeps no context, its requests are in other traces.
    """
    around = [span for span in spans if span.parent_span_id is not None and vercel.is_around(span)]
    if not around:
        return
    has_inner: set[str] = set()
    for span in spans:
        if said.get(span.span_id, _NOTHING).request is not None:
            for above in tree.ancestors(span):
                if vercel.is_around(above):
                    has_inner.add(above.span_id)
                if vercel.is_around(above) or said.get(above.span_id, _NOTHING).tool_call is not None:
                    break
    for span in around:
        if span.span_id not in has_inner:
            said[span.span_id] = vocabularies.normalise(vercel.alone(span))


def is_same_usage(one: LlmRequest, other: LlmRequest) -> bool:
    """Whether what both know of their tokens is the same."""
    names = ("input_tokens", "output_tokens")
    known = ((getattr(one, name), getattr(other, name)) for name in names)
    return all(own is None or others is None or own == others for own, others in known)


def _add(rows: TraceRows, span: Span, normalised: Normalised, tree: Tree, said: dict[str, Normalised]) -> None:
    session_id = tree.session_id(span)
    if span.scope and (normalised.request is not None or normalised.tool_call is not None):
        rows.scopes[span.span_id] = span.scope
    if (request := normalised.request) is not None:
        request.session_id = session_id
        request.agent = request.agent or tree.agent(span)
        request.user_id, request.tags = tree.user_id(span), tree.tags(span)
        rows.requests.append(request)
        for each in normalised.advice:
            each.session_id, each.agent = session_id, request.agent
            each.user_id, each.tags = request.user_id, request.tags
            rows.requests.append(each)
        if (provider_id := span.text(PROVIDER_REQUEST_ID, "request_id")) is not None:
            rows.provider_request_ids[request.request_id] = provider_id
        if (name := span.text(at.CONVERSATION_ID)) is not None and not _TRACE_ID.fullmatch(name):
            rows.conversations[request.request_id] = name
        if normalised.evidence is not None:
            normalised.evidence.session_id = session_id
            rows.evidence[request.request_id] = normalised.evidence
    if normalised.tool_call is not None:
        normalised.tool_call.session_id = session_id
        normalised.tool_call.user_id, normalised.tool_call.tags = tree.user_id(span), tree.tags(span)
        if normalised.tool_call.batch_id is None:
            above = (said.get(each.span_id, _NOTHING).batch for each in tree.ancestors(span))
            normalised.tool_call.batch_id = next((batch.batch_id for batch in above if batch is not None), None)
    if normalised.batch is not None:
        normalised.batch.session_id = session_id
        rows.batches.append(normalised.batch)
    if normalised.selection is not None:
        normalised.selection.session_id = session_id
        rows.selections.append(normalised.selection)
    if (compression := normalised.compression) is not None:
        compression.session_id = session_id
        if compression.tool_call_id is None:
            calls = (said.get(above.span_id, _NOTHING).tool_call for above in tree.ancestors(span))
            owner = next((call for call in calls if call is not None), None)
            compression.tool_call_id = owner.tool_call_id if owner is not None else None
        rows.compressions.append(compression)
    rows.definitions.extend(normalised.definitions)
    if normalised.says_something:
        rows.said[span.span_id] = normalised


def _folded(spans: Sequence[Span], said: dict[str, Normalised], tree: Tree) -> list[ToolCall]:
    """Each run of a tool once: what lies within it and tells of the same call completes the outermost span's row."""
    kept: list[ToolCall] = []
    outer_of: dict[str, ToolCall] = {}
    depths = {span.span_id: sum(1 for _ in tree.ancestors(span)) for span in spans if said[span.span_id].tool_call}
    runs = [(span, call) for span in spans if (call := said[span.span_id].tool_call) is not None]
    for span, call in sorted(runs, key=lambda run: depths[run[0].span_id]):
        above = next((each.span_id for each in tree.ancestors(span) if each.span_id in depths), None)
        outer = outer_of.get(above) if above is not None else None
        if outer is not None and _is_same_call(call, outer):
            complete_call(outer, call)
            outer_of[span.span_id] = outer
        elif call.tool == claude_code.EXECUTION:
            continue  # what ran was never told
        else:
            outer_of[span.span_id] = call
            kept.append(call)
    return sorted(kept, key=lambda call: (call.started_at, call.span_id or ""))


def _is_same_call(inner: ToolCall, outer: ToolCall) -> bool:
    if inner.tool == claude_code.EXECUTION:
        return True
    if inner.tool_call_id is not None and outer.tool_call_id is not None:
        return inner.tool_call_id == outer.tool_call_id
    return is_same_tool(inner.tool, outer.tool)


def is_same_tool(one: str, other: str) -> bool:
    """Whether two names are of one tool: `mcp__server__tool` is what some agents call the server's `tool`."""
    return one == other or one.endswith(f"__{other}") or other.endswith(f"__{one}")


def complete_call(outer: ToolCall, inner: ToolCall) -> None:
    """Put to a run of a tool what another span says of the same run."""
    for name in _FOLDED:
        if getattr(outer, name) is None:
            setattr(outer, name, getattr(inner, name))
    if outer.status == "unset":
        outer.status = inner.status
    if inner.tool == claude_code.EXECUTION:
        outer.duration_ms = inner.duration_ms


def _link_requests(rows: TraceRows, spans: Sequence[Span], said: dict[str, Normalised], tree: Tree) -> None:
    """Requests that are told twice, as the trace shows: one within the other, or the two halves of a stream."""
    requests = [(span, request) for span in spans if (request := said[span.span_id].request) is not None]
    within: dict[str, list[LlmRequest]] = {}
    for span, request in requests:
        if span.parent_span_id is None:
            rows.roots.add(request.request_id)
        if (outer := _around(span, said, tree)) is not None:
            within.setdefault(outer.request_id, []).append(request)
    by_id = {request.request_id: request for _, request in requests}
    for request_id, inner in within.items():
        rows.links.extend(_links(by_id[request_id], inner))
    halves = logfire.streams([(span, request, rows.evidence.get(request.request_id)) for span, request in requests])
    rows.links.extend((record, call, STREAM) for call, record in halves)


def _around(span: Span, said: dict[str, Normalised], tree: Tree) -> LlmRequest | None:
    """The request whose span is the nearest above, with no agent, tool or compression between, which have their own."""
    for above in tree.ancestors(span):
        own = said.get(above.span_id, _NOTHING)
        if own.request is not None:
            return own.request
        if own.tool_call or own.batch or own.compression or above.text(at.OPERATION) == at.OPERATION_AGENT:
            return None
    return None


def _links(outer: LlmRequest, inner: Sequence[LlmRequest]) -> list[Link]:
    """The outer is the same as the one within that fits best; where none fits, it is their sum."""
    loose = [each for each in inner if not (each.response_id and outer.response_id)]
    if len(loose) < len(inner):
        return []  # the ids tell
    fitting = [each for each in loose if is_same_usage(outer, each)]
    if fitting:
        return [(outer, max(fitting, key=lambda each: (each.is_usage_known, bool(each.input_tokens))), NESTED)]
    return [(loose[-1], outer, SUM)] if outer.response_id is None or _is_sum(outer, loose) else []


def _is_sum(outer: LlmRequest, inner: Sequence[LlmRequest]) -> bool:
    """Whether all tokens of the outer are those of several within it."""
    if len(inner) < 2 or not outer.input_tokens:
        return False
    counts = ((outer.input_tokens, [each.input_tokens for each in inner]),
              (outer.output_tokens, [each.output_tokens for each in inner]))  # fmt: skip
    return all(None not in parts and sum(part or 0 for part in parts) == whole for whole, parts in counts)
