-- One row per request and rate whose ledger rows do not sum to what was billed. None may come back.
with billed as (
    unpivot (
        select
            request_id,
            cost_usd as request_cost_usd,
            coalesce(uncached_tokens, 0) as "input",
            coalesce(cache_read_tokens, 0) as cache_read,
            coalesce(cache_write_5m_tokens, 0) as cache_write_5m,
            coalesce(cache_write_1h_tokens, 0) as cache_write_1h,
            coalesce(output_tokens, 0) as "output"
        from llm_requests
    )
    on "input", cache_read, cache_write_5m, cache_write_1h, "output"
    into name rate value tokens
),

booked as (
    select request_id, rate, sum(tokens) as tokens
    from context_ledger
    where rate <> 'fee'
    group by all
),

costs as (
    select request_id, sum(cost_usd) as cost_usd, count(*) filter (where cost_usd is null) as unpriced
    from context_ledger
    group by all
)

select billed.request_id, billed.rate, billed.tokens, booked.tokens as booked_tokens, null as cost_usd
from billed
left join booked using (request_id, rate)
where billed.tokens <> coalesce(booked.tokens, 0)
union all
select request_id, 'all', null, null, r.cost_usd
from llm_requests r
left join costs using (request_id)
where
    (r.cost_usd is not null and (coalesce(costs.cost_usd, 0) <> r.cost_usd or coalesce(costs.unpriced, 0) > 0))
    or (r.cost_usd is null and costs.cost_usd is not null)
