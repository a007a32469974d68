-- One row per selection: what was billed, how much of it is known, and what failed.
with requests as (
    select
        count(*) as requests,
        count(distinct session_id) as sessions,
        count(*) filter (where is_usage_known) as known_requests,
        count(*) filter (where is_usage_known and cost_usd is null) as unpriced_requests,
        count(*) filter (where is_usage_known and cost_usd is null and model is null) as unnamed_requests,
        count(*) filter (
            where not is_usage_known and status <> 'error' and output_tokens is not null and input_tokens is null
        ) as unclear_requests,
        count(*) filter (where status = 'error') as failed_requests,
        sum(cost_usd) as cost_usd,
        cast(sum(input_tokens) as bigint) as input_tokens,
        cast(sum(cache_read_tokens) as bigint) as cache_read_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        min(started_at) as first_at,
        max(started_at) as last_at,
        string_agg(distinct model, ', ' order by model) filter (
            where is_usage_known and cost_usd is null
        ) as unpriced_models
    from llm_requests
    where
        (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
),

calls as (
    select
        count(*) as calls,
        count(*) filter (where status = 'error') as failed_calls,
        count(distinct tool) as called_tools,
        count(distinct session_id) as sessions_with_calls,
        min(started_at) as first_call_at,
        max(started_at) as last_call_at
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
)

select *
from requests
cross join calls
