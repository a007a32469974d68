"""What several tell of one session of Claude Code is billed once: its spans or its session file, log events, metrics.

Events tell also of requests that no session file has (titles, summaries), so only those are left out that can be seen
to be told already, by the provider's id of the request; where no id says it, all. Metrics are sums of requests: they
count where nothing else tells of the session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..rows import LlmRequest, ToolCall
from ..traces import TraceRows
from . import EVENT_SCOPE, METRIC_SCOPE


def tell_once(traces: Iterable[TraceRows]) -> None:
    """Leave out of the traces of whole sessions what something better tells of as well."""
    every = list(traces)
    if not any(scope in (EVENT_SCOPE, METRIC_SCOPE) for rows in every for scope in rows.scopes.values()):
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
    events = [each for each in told if _scope(each) == EVENT_SCOPE]
    sums = [each for each in told if _scope(each) == METRIC_SCOPE]
    better = [each for each in told if _scope(each) not in (EVENT_SCOPE, METRIC_SCOPE)]
    known = {id_ for each in better if (id_ := _provider_id(each)) is not None}
    for each in events:
        id_ = _provider_id(each)
        if better and (id_ is None or id_ in known or not known):
            each[1].drop_request(each[0].request_id)
    if better or events:
        for request, rows in sums:
            rows.drop_request(request.request_id)


def _scope(told: tuple[LlmRequest, TraceRows]) -> str | None:
    return told[1].scopes.get(told[0].request_id)


def _provider_id(told: tuple[LlmRequest, TraceRows]) -> str | None:
    return told[1].provider_request_ids.get(told[0].request_id)


def _calls_once(ran: Sequence[tuple[ToolCall, TraceRows]]) -> None:
    events = [(call, rows) for call, rows in ran if rows.scopes.get(call.span_id or "") == EVENT_SCOPE]
    if not events or len(events) == len(ran):
        return
    told = {call.tool_call_id: call for call, rows in ran if rows.scopes.get(call.span_id or "") != EVENT_SCOPE}
    for call, rows in events:
        better = told.get(call.tool_call_id)
        if better is not None and call.tool_call_id is not None:
            # The event has the time that the tool took, without that until the user permitted it.
            better.duration_ms = call.duration_ms
        if better is not None or call.tool_call_id is None:
            rows.tool_calls = [each for each in rows.tool_calls if each is not call]
