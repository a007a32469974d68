-- One row per cause of lost caches, and per tool whose definition changed: what it cost, the most expensive first.
with breaks as (
    select
        *,
        if(cause = 'definitions', tool, null) as changed_tool
    from cache_breaks
    where
        (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
),

by_session as (
    select
        cause,
        changed_tool,
        session_id,
        count(*) as breaks,
        sum(lost_tokens) as lost_tokens,
        sum(cost_usd) as cost_usd
    from breaks
    group by cause, changed_tool, session_id
)

select
    cause,
    changed_tool as tool,
    cast(sum(breaks) as bigint) as breaks,
    count(*) as sessions,
    cast(sum(lost_tokens) as bigint) as lost_tokens,
    sum(cost_usd) as cost_usd,
    arg_max(session_id, (coalesce(cost_usd, 0), lost_tokens, session_id)) as largest_session_id
from by_session
group by cause, changed_tool
order by cost_usd desc nulls last, lost_tokens desc, cause, tool
