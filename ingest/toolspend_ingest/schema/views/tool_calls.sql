-- One row per tool execution, or per call that a response asked for where no span of its run exists.
create or replace view tool_calls as
-- What a request of unknown usage carried and was billed for is unknown, so what the calls before it came to is as well.
with unclear as (
    select
        session_id,
        max(started_at) as last_at
    from llm_requests
    where not is_usage_known and input_tokens is null and status <> 'error'
    group by session_id
)

select
    calls.* exclude (carried_tokens) replace (
        if(
            calls.started_at < unclear.last_at,
            null,
            calls.times_sent + if(calls.carried_tokens is null, 0, carries.requests)
        ) as times_sent,
        case
            when calls.started_at < unclear.last_at then null
            when calls.carried_tokens is null then calls.cost_usd
            else try_cast(calls.cost_usd + calls.carried_tokens * carries.usd_per_token as decimal(18, 9))
        end as cost_usd
    )
from seen_calls as calls
left join session_carries as carries on calls.session_id = carries.session_id
left join unclear on calls.session_id = unclear.session_id
