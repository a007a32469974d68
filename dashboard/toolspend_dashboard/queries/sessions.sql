-- One row per session, the most expensive first; at most $max_rows.
with requests as (
    select
        session_id,
        max(service) as service,
        string_agg(distinct model, ', ' order by model) as models,
        min(started_at) as started_at,
        max(started_at + to_microseconds(cast(coalesce(duration_ms, 0) * 1000 as bigint))) as ended_at,
        count(*) as requests,
        count(*) filter (where status = 'error') as failed_requests,
        -- Of an answer that broke off the prompt alone may be known, and billed.
        count(*) filter (where cost_usd is null or not is_usage_known) as requests_of_unknown_cost,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(cache_read_tokens) as bigint) as cache_read_tokens,
        cast(sum(uncached_tokens) as bigint) as uncached_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        sum(cost_usd) as cost_usd
    from llm_requests
    where
        (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
    group by session_id
),

calls as (
    select
        session_id,
        count(*) as calls,
        min(started_at) as started_at,
        max(started_at + to_microseconds(cast(coalesce(duration_ms, 0) * 1000 as bigint))) as ended_at,
        count(*) filter (where status = 'error') as failed_calls
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
    group by session_id
)

select
    requests.* replace (
        -- What is unknown is passed over.
        least(requests.started_at, calls.started_at) as started_at,
        greatest(requests.ended_at, calls.ended_at) as ended_at
    ),
    coalesce(calls.calls, 0) as calls,
    coalesce(calls.failed_calls, 0) + requests.failed_requests as errors,
    cast(requests.cache_read_tokens as double) / nullif(requests.input_tokens, 0) as cached_share
from requests
left join calls on requests.session_id = calls.session_id
order by cost_usd desc nulls last, input_tokens desc nulls last, requests.session_id
limit $max_rows
