-- One row per tool call of one session, in the order of time, with the batch that it ran in.
select
    tool_calls.span_id,
    tool_calls.tool_call_id,
    tool_calls.request_id,
    tool_calls.tool,
    tool_calls.batch_id,
    tool_calls.started_at,
    tool_calls.duration_ms,
    tool_calls.status,
    tool_calls.error_type,
    tool_calls.argument_tokens,
    tool_calls.result_tokens,
    tool_calls.raw_result_tokens,
    tool_calls.times_sent,
    tool_calls.cost_usd,
    tool_batches.calls as batch_calls,
    tool_batches.speedup
from tool_calls
left join tool_batches on tool_calls.batch_id = tool_batches.batch_id and tool_calls.session_id = tool_batches.session_id
where tool_calls.session_id = cast($session as varchar)
order by tool_calls.started_at, tool_calls.tool_call_id
