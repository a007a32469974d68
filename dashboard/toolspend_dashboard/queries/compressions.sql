-- One row per tool whose results were compressed: sizes before and after, what it cost and saved.
select
    tool,
    count(*) as compressions,
    cast(sum(tokens_before) as bigint) as tokens_before,
    cast(sum(tokens_after) as bigint) as tokens_after,
    sum(cost_usd) as cost_usd,
    sum(saved_usd) as saved_usd
from compressions
where
    tool is not null
    and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
    and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
    and (cast($session as varchar) is null or session_id = cast($session as varchar))
    -- A compression says neither: it counts with the sessions that have requests of that service and model.
    and (
        (cast($service as varchar) is null and cast($model as varchar) is null)
        or session_id in (
            select session_id
            from llm_requests
            where
                (cast($service as varchar) is null or service = cast($service as varchar))
                and (cast($model as varchar) is null or model = cast($model as varchar))
        )
    )
group by tool
order by tool
