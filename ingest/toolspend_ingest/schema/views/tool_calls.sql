-- One row per tool execution, or per call that a response asked for where no span of its run exists.
create or replace view tool_calls as
select
    calls.* exclude (carried_tokens) replace (
        calls.times_sent + if(calls.carried_tokens is null, 0, carries.requests) as times_sent,
        if(
            calls.carried_tokens is null,
            calls.cost_usd,
            try_cast(calls.cost_usd + calls.carried_tokens * carries.usd_per_token as decimal(18, 9))
        ) as cost_usd
    )
from seen_calls as calls
left join session_carries as carries on calls.session_id = carries.session_id
