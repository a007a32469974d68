-- One row per tool called: its calls, failures, times and sizes. Times are of calls that did not fail; `is_measured` says
-- that a prompt of its sessions is known at each rate, so that a tool that is billed for answers alone took none of it.
select
    tool,
    string_agg(distinct server, ', ' order by server) as server,
    count(*) as calls,
    count(*) filter (where status = 'error') as errors,
    mode(error_type order by error_type) filter (where status = 'error') as main_error_type,
    sum(cost_usd) filter (where status = 'error') as failed_cost_usd,
    percentile_cont(0.5) within group (order by duration_ms) filter (where status <> 'error') as p50_ms,
    percentile_cont(0.95) within group (order by duration_ms) filter (where status <> 'error') as p95_ms,
    avg(times_sent) as mean_times_sent,
    avg(result_tokens) as mean_result_tokens,
    avg(raw_result_tokens) as mean_raw_result_tokens,
    count(distinct tool_version) as versions,
    count(distinct session_id) as sessions,
    max(started_at) as last_called_at,
    bool_or(
        session_id in (select session_id from llm_requests where uncached_tokens is not null)
    ) as is_measured
from tool_calls
where
    (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
    and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
    and (cast($service as varchar) is null or service = cast($service as varchar))
    and (cast($session as varchar) is null or session_id = cast($session as varchar))
    and (
        cast($model as varchar) is null
        or request_id in (select request_id from llm_requests where model = cast($model as varchar))
    )
group by tool
order by calls desc, tool
