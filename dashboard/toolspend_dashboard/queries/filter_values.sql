-- One row per service, model, session or tool that can be filtered by, the most expensive first; at most $max_rows of each.
with candidates as (
    select 'service' as field, service as value, cost_usd, started_at from llm_requests
    union all
    select 'model' as field, model as value, cost_usd, started_at from llm_requests
    union all
    select 'session' as field, session_id as value, cost_usd, started_at from llm_requests
    union all
    select 'tool' as field, tool as value, cost_usd, started_at from context_ledger
    union all
    select 'service' as field, service as value, null as cost_usd, started_at from tool_calls
    union all
    select 'session' as field, session_id as value, null as cost_usd, started_at from tool_calls
    union all
    select 'tool' as field, tool as value, null as cost_usd, started_at from tool_calls
),

ranked as (
    select
        field,
        value,
        row_number() over (
            partition by field order by sum(cost_usd) desc nulls last, max(started_at) desc, value
        ) as position
    from candidates
    where value is not null
    group by field, value
)

select field, value
from ranked
where position <= $max_rows
order by field, position
