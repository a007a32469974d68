-- One row per session with tool calls, the latest first; at most $max_rows.
select
    session_id,
    max(service) as service,
    min(started_at) as started_at,
    count(*) as calls,
    count(*) filter (where status = 'error') as errors,
    count(distinct tool) as tools
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
group by session_id
order by started_at desc, session_id
limit $max_rows
