-- One row per session.
create or replace view sessions as
with work as (
    select
        session_id,
        service,
        user_id,
        tags,
        started_at,
        started_at + to_milliseconds(coalesce(duration_ms, 0)) as ended_at,
        1 as requests,
        0 as tool_calls,
        status,
        input_tokens,
        output_tokens,
        cost_usd,
        case when is_priced then 1 else 0 end as priced_requests,
        case when is_usage_known then 1 else 0 end as usage_known_requests
    from llm_requests
    union all
    select
        session_id,
        service,
        user_id,
        tags,
        started_at,
        started_at + to_milliseconds(coalesce(duration_ms, 0)) as ended_at,
        0 as requests,
        1 as tool_calls,
        status,
        null as input_tokens,
        null as output_tokens,
        null as cost_usd,
        0 as priced_requests,
        0 as usage_known_requests
    from seen_calls
)

select
    session_id,
    max(service) as service,
    max(user_id) as user_id,
    max(tags) as tags,
    min(started_at) as started_at,
    max(ended_at) as ended_at,
    cast(sum(requests) as bigint) as requests,
    cast(sum(tool_calls) as bigint) as tool_calls,
    count(*) filter (where status = 'error') as errors,
    cast(sum(input_tokens) as bigint) as input_tokens,
    cast(sum(output_tokens) as bigint) as output_tokens,
    cast(sum(cost_usd) as decimal(18, 9)) as cost_usd,
    cast(sum(priced_requests) as bigint) as priced_requests,
    cast(sum(usage_known_requests) as bigint) as usage_known_requests
from work
group by session_id
