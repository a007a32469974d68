-- One row per time bucket and tool called in it.
select
    time_bucket(to_seconds(cast($bucket_s as bigint)), started_at) as bucket_at,
    tool,
    count(*) as calls,
    count(*) filter (where status = 'error') as errors
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
group by all
order by bucket_at, tool
