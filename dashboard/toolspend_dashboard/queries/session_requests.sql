-- One row per request of one session, in the order of time.
select
    request_id,
    trace_id,
    service,
    agent,
    model,
    started_at,
    duration_ms,
    time_to_first_token_ms,
    input_tokens,
    cache_read_tokens,
    output_tokens,
    tools_offered,
    stop_reason,
    status,
    error_type,
    compressed_tool,
    cost_usd,
    is_usage_known
from llm_requests
where session_id = cast($session as varchar)
order by started_at, request_id
