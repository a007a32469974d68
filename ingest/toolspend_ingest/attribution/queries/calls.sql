-- One row per tool call of the sessions, in the order of time.
select
    session_id,
    rowid as row_id,
    tool_call_id,
    tool,
    tool_version,
    request_id,
    started_at,
    concat_ws(' ', trace_id, span_id) as tie_breaker,
    argument_chars,
    result_chars,
    raw_result_chars
from tool_calls
where session_id in (select unnest($sessions))
order by session_id, started_at, tie_breaker, tool_call_id, tool
