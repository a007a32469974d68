-- One row per selection: requests that wrote again what an earlier request of the conversation had cached, and the cost.
with requests as (
    select
        request_id,
        session_id,
        cache_read_tokens,
        cache_write_5m_tokens + cache_write_1h_tokens as cache_write_tokens,
        lag(cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens) over (
            partition by session_id, model, tools_offered order by started_at, request_id
        ) as cached_before
    from llm_requests
    where
        is_usage_known
        and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
),

-- A lost cache reads less than half of what was cached and writes at least as much again.
lost as (
    select *
    from requests
    where
        cached_before >= 1024
        and cache_read_tokens < cached_before / 2
        and cache_write_tokens >= cached_before - cache_read_tokens
),

billed as (
    select
        lost.request_id,
        lost.session_id,
        sum(ledger.cost_usd) * (lost.cached_before - lost.cache_read_tokens) / lost.cache_write_tokens as cost_usd
    from lost
    inner join context_ledger as ledger on lost.request_id = ledger.request_id and ledger.rate like 'cache_write%'
    group by lost.request_id, lost.session_id, lost.cached_before, lost.cache_read_tokens, lost.cache_write_tokens
)

select
    (select count(*) from lost) as rewrites,
    (select count(distinct session_id) from lost) as sessions,
    sum(cost_usd) as cost_usd,
    arg_max(session_id, cost_usd) as largest_session_id
from billed
