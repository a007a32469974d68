-- One row per tool that was called, offered or billed.
create or replace view tool_costs as
with bill as (
    select
        sum(cost_usd) as cost_usd,
        sum(tokens) filter (where rate not in ('output', 'fee')) as prompt_tokens
    from context_ledger
),

parts as (
    select
        tool,
        sum(tokens) filter (where rate not in ('output', 'fee')) as context_tokens,
        sum(tokens) filter (where cost_usd is null) as unpriced_tokens,
        sum(cost_usd) filter (where kind = 'tool_definition') as definition_cost_usd,
        sum(cost_usd) filter (where kind = 'tool_use' and rate = 'output') as call_cost_usd,
        sum(cost_usd) filter (where kind = 'tool_result' and is_first_send) as result_cost_usd,
        sum(cost_usd) filter (
            where (kind = 'tool_use' and rate <> 'output') or (kind = 'tool_result' and not is_first_send)
        ) as carry_cost_usd,
        sum(cost_usd) filter (where kind = 'compression') as compression_cost_usd,
        sum(cost_usd) filter (where kind = 'fee') as fee_cost_usd,
        sum(cost_usd) as total_cost_usd
    from context_ledger
    where tool is not null
    group by tool
),

-- Of a tool that no known prompt held a token of: none, where prompts of its sessions are known at each rate, else
-- unknown.
measured as (
    select distinct tool
    from seen_calls
    where
        tool in (select tool from parts where context_tokens is null)
        and session_id in (select session_id from llm_requests where uncached_tokens is not null)
),

-- A failed call ends early: its duration says nothing about a call that works.
runs as (
    select
        tool,
        string_agg(distinct server, ', ' order by server) as server,
        count(*) as calls,
        count(*) filter (where status = 'error') as errors,
        percentile_cont(0.5) within group (order by duration_ms) filter (where status <> 'error') as p50_ms,
        percentile_cont(0.95) within group (order by duration_ms) filter (where status <> 'error') as p95_ms
    from seen_calls
    group by tool
)

select
    coalesce(parts.tool, runs.tool) as tool,
    runs.server,
    coalesce(runs.calls, 0) as calls,
    coalesce(runs.errors, 0) as errors,
    cast(coalesce(parts.context_tokens, if(measured.tool is null, null, 0)) as bigint) as context_tokens,
    cast(parts.definition_cost_usd as decimal(18, 9)) as definition_cost_usd,
    cast(parts.call_cost_usd as decimal(18, 9)) as call_cost_usd,
    cast(parts.result_cost_usd as decimal(18, 9)) as result_cost_usd,
    cast(parts.carry_cost_usd as decimal(18, 9)) as carry_cost_usd,
    cast(parts.compression_cost_usd as decimal(18, 9)) as compression_cost_usd,
    cast(parts.fee_cost_usd as decimal(18, 9)) as fee_cost_usd,
    cast(parts.total_cost_usd as decimal(18, 9)) as total_cost_usd,
    cast(parts.total_cost_usd as double) / nullif(cast(bill.cost_usd as double), 0) as cost_share,
    cast(coalesce(parts.context_tokens, if(measured.tool is null, null, 0)) as double)
    / nullif(cast(bill.prompt_tokens as double), 0) as context_share,
    runs.p50_ms,
    runs.p95_ms,
    cast(coalesce(parts.unpriced_tokens, 0) as bigint) as unpriced_tokens
from parts
full outer join runs on parts.tool = runs.tool
left join measured on parts.tool = measured.tool
cross join bill
