"""What only a whole session shows: which request asked for a call, how it ended, and which calls ran together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from toolspend import attributes as at

from . import segments
from .rows import Evidence, LlmRequest, ToolBatch, ToolCall
from .segments import Segment
from .traces import is_same_tool
from .unsaid import Unsaid

PROVIDER_SERVER = "anthropic"
"""`server` of a tool that the provider runs inside the request."""
_TOOL_ERROR = "tool_error"
_ASKED_FOR_TOOLS = {"tool_use", "tool_call", "tool_calls", "tool-calls"}


@dataclass(slots=True)
class SessionRows:
    """The rows of one session, of all its traces."""

    requests: list[LlmRequest]
    evidence: dict[str, Evidence]
    tool_calls: list[ToolCall]
    batches: list[ToolBatch]


@dataclass(frozen=True, slots=True)
class Asked:
    """A tool_use block and the request whose response made it."""

    request: LlmRequest
    segment: Segment


class Said:
    """What the requests of a session say of its calls, told in the order of time."""

    def __init__(self) -> None:
        self.asked: dict[str, Asked] = {}
        """The calls that responses made, by their ids, in order."""
        self.results: dict[str, list[Segment]] = {}
        """The result of each call, as first sent: several segments where it holds images or documents."""
        self.versions: dict[str, set[str]] = defaultdict(set)
        """Of each tool."""
        self.kinds: dict[str, str] = {}
        """The kinds of the segments of prompts, as one letter each, by request id; without those not fully known."""
        self.has_strays = False
        """Whether any run was tied to its request by its name alone."""
        self.unsaid = Unsaid()
        self._silent: LlmRequest | None = None

    def add(self, request: LlmRequest, row: Evidence | None) -> None:
        """The next request, and the evidence about it, which gets what its emitter left unsaid."""
        if row is None:
            if request.stop_reason in _ASKED_FOR_TOOLS:
                self._silent = request
            return
        prompt, outputs = segments.prompt(row), segments.outputs(row)
        spelled_out = [piece for piece in prompt if isinstance(piece, Segment)]
        spelled_out.extend(segments.restated(row))
        if self._silent is not None:
            # A response that said nothing of its content: its calls are the new ones of the next prompt.
            self._ask(self._silent, spelled_out)
            self._silent = None
        if row.base_request_id is None and self.unsaid.complete(request, row, prompt, self._asked_by, self.kinds):
            prompt = segments.prompt(row)
        if row.output is not None:
            self.unsaid.outputs[request.request_id] = row.output
        self._ask(request, outputs)
        if row.output is None and request.stop_reason in _ASKED_FOR_TOOLS:
            self._silent = request
        here: dict[str, list[Segment]] = defaultdict(list)
        for segment in (*spelled_out, *outputs):
            if segment.kind == at.SEGMENT_RESULT and segment.id and segment.id not in self.results:
                here[segment.id].append(segment)
        self.results.update(here)
        for segment in spelled_out:
            if segment.kind == at.SEGMENT_DEFINITION and segment.tool and segment.id:
                self.versions[segment.tool].add(segment.id)
        if (kinds := segments.kinds(prompt, self.kinds.get(row.base_request_id or ""))) is not None:
            self.kinds[request.request_id] = kinds
            if row.segments is not None:
                request.tools_offered = kinds.count(at.SEGMENT_DEFINITION)

    def _asked_by(self, call_id: str) -> str | None:
        return self.asked[call_id].request.request_id if call_id in self.asked else None

    def _ask(self, request: LlmRequest, listed: Iterable[Segment]) -> None:
        for segment in listed:
            if segment.kind == at.SEGMENT_CALL and segment.id:
                self.asked.setdefault(segment.id, Asked(request, segment))


def join(rows: SessionRows) -> tuple[SessionRows, Said]:
    """The session's rows with calls tied to requests, calls without a span added, and batches made."""
    requests = sorted(rows.requests, key=lambda row: (row.started_at, row.request_id))
    said = Said()
    for request in requests:
        said.add(request, rows.evidence.get(request.request_id))
    calls = sorted(rows.tool_calls, key=lambda call: (call.started_at, call.span_id or ""))
    said.has_strays = any(call.tool_call_id is None for call in calls)
    _tie(calls, said.asked)
    claimed = {call.tool_call_id for call in calls}
    calls += [without_span(each, id_) for id_, each in said.asked.items() if id_ not in claimed]
    for call in calls:
        complete(call, said)
    batches = rows.batches + finish(calls, rows.batches, said.asked)
    return SessionRows(requests, rows.evidence, calls, batches), said


def finish(calls: Sequence[ToolCall], batches: Sequence[ToolBatch], asked: Mapping[str, Asked]) -> list[ToolBatch]:
    """Measures calls that are complete and their batches; gives the batches that no span tells of."""
    more = list(_batches_of_requests(calls, asked))
    _measure([*batches, *more], calls)
    _mark_critical(calls)
    return more


def _tie(calls: Sequence[ToolCall], asked: Mapping[str, Asked]) -> None:
    """Tie runs to the requests that asked: by the call's id, else to the latest open call of the tool's name."""
    open_calls = dict(asked)
    for call in calls:
        if call.tool_call_id is not None and call.tool_call_id in asked:
            call.request_id = asked[call.tool_call_id].request.request_id
            open_calls.pop(call.tool_call_id, None)
    for call in calls:
        if call.tool_call_id is None and (id_ := _latest_open(call, open_calls)) is not None:
            call.tool_call_id = id_
            call.tool = open_calls[id_].segment.tool or call.tool
            call.request_id = open_calls.pop(id_).request.request_id


def _latest_open(call: ToolCall, open_calls: Mapping[str, Asked]) -> str | None:
    fitting = [
        (each.request.ended_at, -index, id_)
        for index, (id_, each) in enumerate(open_calls.items())
        if not each.segment.is_server
        and is_same_tool(each.segment.tool or "", call.tool)
        and each.request.started_at <= call.started_at
    ]
    return max(fitting)[2] if fitting else None


def without_span(asked: Asked, call_id: str) -> ToolCall:
    """The row of a call that no span tells of."""
    request = asked.request
    return ToolCall(
        trace_id=request.trace_id,
        session_id=request.session_id,
        tool=asked.segment.tool or "",
        started_at=request.ended_at,
        status="unset",
        request_id=request.request_id,
        tool_call_id=call_id,
        server=PROVIDER_SERVER if asked.segment.is_server else None,
        service=request.service,
    )


def complete(call: ToolCall, said: Said) -> None:
    """What the session says of a call."""
    asked, result = said.asked.get(call.tool_call_id or ""), said.results.get(call.tool_call_id or "")
    if call.argument_chars is None and asked is not None:
        call.argument_chars = asked.segment.chars
    if result is not None:
        if call.result_chars is None:
            call.result_chars = sum(segment.chars for segment in result)
        if any(segment.is_error for segment in result):
            call.error_type = call.error_type or _TOOL_ERROR
            call.status = "error"
        elif call.status == "unset":
            call.status = "ok"
    if call.tool_version is None and len(said.versions.get(call.tool, ())) == 1:
        (call.tool_version,) = said.versions[call.tool]
    if call.server is None and call.tool.startswith("mcp__") and call.tool.count("__") >= 2:
        call.server = call.tool.split("__", 2)[1]


def _batches_of_requests(calls: Iterable[ToolCall], asked: Mapping[str, Asked]) -> Iterator[ToolBatch]:
    """A batch for each response with several calls of the client's tools whose runs say no batch of their own."""
    groups: dict[str, list[ToolCall]] = defaultdict(list)
    for call in calls:
        own = asked.get(call.tool_call_id or "")
        if call.request_id is not None and not (own is not None and own.segment.is_server):
            groups[call.request_id].append(call)
    for request_id, group in groups.items():
        if len({call.tool_call_id for call in group}) < 2 or any(call.batch_id is not None for call in group):
            continue
        for call in group:
            call.batch_id = request_id
        first = min(group, key=lambda call: call.started_at)
        own = asked.get(first.tool_call_id or "")
        yield ToolBatch(
            batch_id=request_id,
            trace_id=own.request.trace_id if own is not None else first.trace_id,
            session_id=first.session_id,
            started_at=first.started_at,
            calls=len(group),
            failed=sum(call.status == "error" for call in group),
        )


def _measure(batches: Iterable[ToolBatch], calls: Iterable[ToolCall]) -> None:
    """How long each batch took, and how long its calls would have taken one after the other."""
    members: dict[str, list[ToolCall]] = defaultdict(list)
    for call in calls:
        if call.batch_id is not None:
            members[call.batch_id].append(call)
    for batch in batches:
        group = members[batch.batch_id]
        batch.calls = batch.calls or len(group)
        if not group or any(call.duration_ms is None for call in group):
            continue
        batch.sequential_ms = sum(call.duration_ms or 0.0 for call in group)
        if batch.wall_ms is None:
            first, last = min(call.started_at for call in group), max(_call_end(call) for call in group)
            batch.wall_ms = (last - first) / timedelta(milliseconds=1)
        batch.speedup = batch.sequential_ms / batch.wall_ms if batch.wall_ms else None


def _mark_critical(calls: Iterable[ToolCall]) -> None:
    """A run that nothing ran beside is waited for; of a batch, the one that ends last is."""
    groups: dict[str, list[ToolCall]] = defaultdict(list)
    for call in calls:
        if call.duration_ms is not None:
            groups[call.batch_id or f"alone {call.span_id}"].append(call)
    for group in groups.values():
        last = max(group, key=lambda call: (_call_end(call), call.span_id or ""))
        for call in group:
            call.is_on_critical_path = call is last


def _call_end(call: ToolCall) -> datetime:
    return call.started_at + timedelta(milliseconds=call.duration_ms or 0.0)
