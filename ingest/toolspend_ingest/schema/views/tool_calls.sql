-- One row per tool execution, or per call that a response asked for where no span of its run exists.
create or replace view tool_calls as
-- What a prompt that is not known at each rate carried and was billed for is unknown, so what the calls before it came
-- to is as well. None is carried by a request that compresses a result.
with unclear as (
    select
        session_id,
        max(started_at) as last_at
    from llm_requests
    where not is_usage_known and uncached_tokens is null and status <> 'error' and compressed_tool is null
    group by session_id
),

-- What a call cost that was asked for in an answer of unknown length is unknown too.
unmeasured as (
    select distinct
        session_id,
        request_id
    from llm_requests
    where output_tokens is null
)

select
    calls.* exclude (carried_tokens) replace (
        if(
            calls.started_at < unclear.last_at,
            null,
            calls.times_sent + if(calls.carried_tokens is null, 0, carries.requests)
        ) as times_sent,
        case
            when calls.started_at < unclear.last_at or unmeasured.request_id is not null then null
            when calls.carried_tokens is null then calls.cost_usd
            else try_cast(calls.cost_usd + calls.carried_tokens * carries.usd_per_token as decimal(18, 9))
        end as cost_usd
    )
from seen_calls as calls
left join session_carries as carries on calls.session_id = carries.session_id
left join unclear on calls.session_id = unclear.session_id
left join unmeasured on calls.session_id = unmeasured.session_id and calls.request_id = unmeasured.request_id
