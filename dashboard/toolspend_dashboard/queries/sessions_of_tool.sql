-- One row per session that one tool cost something in, the most expensive first; at most $max_rows.
with bill as (
    select
        session_id,
        min(started_at) as started_at,
        sum(cost_usd) as cost_usd,
        cast(coalesce(sum(tokens) filter (where rate not in ('output', 'fee')), 0) as bigint) as context_tokens
    from context_ledger
    where
        tool = cast($tool as varchar)
        and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
    group by session_id
),

calls as (
    select session_id, count(*) as calls, count(*) filter (where status = 'error') as errors
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
    group by session_id
)

select
    bill.session_id,
    bill.started_at,
    coalesce(calls.calls, 0) as calls,
    coalesce(calls.errors, 0) as errors,
    bill.context_tokens,
    bill.cost_usd
from bill
left join calls on bill.session_id = calls.session_id
order by bill.cost_usd desc nulls last, bill.context_tokens desc, bill.session_id
limit $max_rows
