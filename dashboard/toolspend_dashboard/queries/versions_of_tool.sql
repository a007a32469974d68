-- One row per version of one tool: its definition, and how its calls went.
with calls as (
    select
        tool_version,
        count(*) as calls,
        count(*) filter (where status = 'error') as errors,
        percentile_cont(0.5) within group (order by duration_ms) filter (where status <> 'error') as p50_ms,
        avg(result_tokens) as mean_result_tokens,
        avg(times_sent) as mean_times_sent,
        avg(cost_usd) as mean_call_cost_usd,
        min(started_at) as first_called_at
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
    group by tool_version
),

definitions as (
    select tool_version, declared_version, definition_tokens, first_seen_at, last_seen_at
    from tool_definitions
    where tool = cast($tool as varchar)
)

select
    coalesce(definitions.tool_version, calls.tool_version) as tool_version,
    definitions.declared_version,
    definitions.definition_tokens,
    coalesce(definitions.first_seen_at, calls.first_called_at) as first_seen_at,
    definitions.last_seen_at,
    coalesce(calls.calls, 0) as calls,
    coalesce(calls.errors, 0) as errors,
    calls.p50_ms,
    calls.mean_result_tokens,
    calls.mean_times_sent,
    calls.mean_call_cost_usd
from definitions
full outer join calls on definitions.tool_version = calls.tool_version
order by first_seen_at, tool_version
