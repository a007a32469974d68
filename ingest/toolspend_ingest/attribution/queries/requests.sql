-- One row per model request of the sessions, in the order of time.
select
    session_id,
    rowid as row_id,
    request_id,
    trace_id,
    started_at,
    service,
    agent,
    model,
    price_model,
    input_tokens,
    uncached_tokens,
    cache_read_tokens,
    cache_write_1h_tokens,
    cache_write_5m_tokens,
    output_tokens,
    thinking_tokens,
    web_searches,
    tools_offered,
    stop_reason,
    compressed_tool,
    is_usage_known
from llm_requests
where session_id in (select unnest($sessions))
order by session_id, started_at, request_id, trace_id
