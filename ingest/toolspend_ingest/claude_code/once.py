"""What several tell of one session of Claude Code is billed once: its session file, its spans, log events, metrics.

Spans and events tell also of requests that no session file has (titles, summaries), and of a session's spans some may
be lost, so only those are left out that can be seen to be told already, by the provider's id of the request; where no
id says it, all. Metrics are sums of requests: they count where nothing else tells of the session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..rows import LlmRequest, ToolCall
from ..traces import TraceRows
from . import EVENT_SCOPE, METRIC_SCOPE, ONLY_BESIDE, TRACE_SCOPE


def tell_once(traces: Iterable[TraceRows]) -> None:
    """Leave out of the traces of whole sessions what something better tells of as well."""
    every = list(traces)
    if not any(scope in ONLY_BESIDE for rows in every for scope in rows.scopes.values()):
        return
    requests: dict[str, list[tuple[LlmRequest, TraceRows]]] = defaultdict(list)
    calls: dict[str, list[tuple[ToolCall, TraceRows]]] = defaultdict(list)
    for rows in every:
        for request in rows.requests:
            requests[request.session_id].append((request, rows))
        for call in rows.tool_calls:
            calls[call.session_id].append((call, rows))
    for told in requests.values():
        _requests_once(told)
    for ran in calls.values():
        _calls_once(ran)


def _requests_once(told: Sequence[tuple[LlmRequest, TraceRows]]) -> None:
    above = [each for each in told if _scope(each) not in ONLY_BESIDE]
    for scope in (TRACE_SCOPE, EVENT_SCOPE):
        known = {id_ for each in above if (id_ := _provider_id(each)) is not None}
        beside = []
        for each in told:
            if _scope(each) != scope:
                continue
            id_ = _provider_id(each)
            if above and (id_ is None or id_ in known or not known):
                each[1].drop_request(each[0].request_id)
            else:
                beside.append(each)
        above += beside
    for request, rows in told:
        if above and _scope((request, rows)) == METRIC_SCOPE:
            rows.drop_request(request.request_id)


def _scope(told: tuple[LlmRequest, TraceRows]) -> str | None:
    return told[1].scopes.get(told[0].request_id)


def _provider_id(told: tuple[LlmRequest, TraceRows]) -> str | None:
    return told[1].provider_request_ids.get(told[0].request_id)


def _calls_once(ran: Sequence[tuple[ToolCall, TraceRows]]) -> None:
    above = [each for each in ran if _teller(*each) not in ONLY_BESIDE]
    for scope in (TRACE_SCOPE, EVENT_SCOPE):
        told = {call.tool_call_id: call for call, _ in above if call.tool_call_id is not None}
        beside = []
        for call, rows in ran:
            if _teller(call, rows) != scope:
                continue
            better = told.get(call.tool_call_id or "")
            if better is not None and call.duration_ms:
                # It has the time that the tool took, where it says that, without that until the user permitted it.
                better.duration_ms = call.duration_ms
            if better is not None or (above and call.tool_call_id is None):
                rows.tool_calls = [each for each in rows.tool_calls if each is not call]
            else:
                beside.append((call, rows))
        above += beside


def _teller(call: ToolCall, rows: TraceRows) -> str | None:
    return rows.scopes.get(call.span_id or "")
