-- One row per call of one tool, the latest first; at most $max_rows.
select
    span_id,
    tool_call_id,
    session_id,
    started_at,
    duration_ms,
    status,
    error_type,
    tool_version,
    argument_tokens,
    result_tokens,
    raw_result_tokens,
    times_sent,
    cost_usd
from tool_calls
where
    tool = cast($tool as varchar)
    and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
    and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
    and (cast($service as varchar) is null or service = cast($service as varchar))
    and (cast($session as varchar) is null or session_id = cast($session as varchar))
    and (
        cast($model as varchar) is null
        or request_id in (select request_id from llm_requests where model = cast($model as varchar))
    )
order by started_at desc, tool_call_id
limit $max_rows
