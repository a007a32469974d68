-- One row per tool offered or called: how often, at what cost, and how large its results are.
with offers as (
    select
        tool,
        count(distinct (trace_id, request_id)) filter (where kind = 'tool_definition') as offered_requests,
        sum(tokens) filter (where kind = 'tool_definition') as definition_tokens,
        sum(cost_usd) filter (where kind = 'tool_definition') as definition_cost_usd,
        sum(cost_usd) filter (where kind <> 'tool_definition') as other_cost_usd,
        bool_or(kind <> 'tool_definition') as is_used,
        count(*) filter (where cost_usd is null) as unpriced
    from context_ledger
    where
        tool is not null
        and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
    group by tool
),

runs as (
    select
        tool,
        count(*) as calls,
        count(*) filter (where status = 'error') as failed,
        avg(result_tokens) filter (where status <> 'error') as mean_result_tokens
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
    group by tool
)

select
    coalesce(offers.tool, runs.tool) as tool,
    coalesce(runs.calls, 0) as calls,
    coalesce(runs.failed, 0) as failed,
    coalesce(offers.is_used, false) as is_used,
    coalesce(offers.offered_requests, 0) as offered_requests,
    cast(offers.definition_tokens as double) / nullif(offers.offered_requests, 0) as definition_tokens,
    runs.mean_result_tokens,
    case when offers.unpriced = 0 then cast(offers.definition_cost_usd as double) end as definition_cost_usd,
    case when offers.unpriced = 0 then cast(coalesce(offers.other_cost_usd, 0) as double) end as other_cost_usd
from offers
full outer join runs on offers.tool = runs.tool
order by 1
