-- One row per tool and type of error: how many of its calls ended so.
select
    tool,
    coalesce(error_type, 'not said') as error_type,
    count(*) as calls
from tool_calls
where
    status = 'error'
    and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
    and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
    and (cast($service as varchar) is null or service = cast($service as varchar))
    and (cast($session as varchar) is null or session_id = cast($session as varchar))
    and (
        cast($model as varchar) is null
        or request_id in (select request_id from llm_requests where model = cast($model as varchar))
    )
group by all
order by tool, calls desc, error_type
