-- One row per request that was billed again for what its base had in the cache.
insert into cache_breaks by name
select
    prompts.request_id,
    prompts.trace_id,
    prompts.session_id,
    prompts.started_at,
    prompts.service,
    prompts.model,
    bases.request_id as base_request_id,
    rows.cause,
    rows.tool,
    rows.tool_version,
    rows.message_index,
    rows.gap_us / 1000 as gap_ms,
    rows.lost_tokens,
    cast(rows.cost_nano * 0.000000001 as decimal(18, 9)) as cost_usd
from attributed_breaks as rows
inner join attributed_prompts as prompts on rows.p = prompts.p
inner join attributed_prompts as bases on rows.base = bases.p
order by rows.p
