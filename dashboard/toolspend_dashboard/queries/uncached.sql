-- One row per selection: sessions of several requests that never read the prompt cache, what their input cost, and how
-- much less it would have with the 5-minute cache, each prompt marked at its end.
with sessions as (
    select
        session_id,
        count(*) filter (where is_usage_known) as requests,
        coalesce(sum(cache_read_tokens), 0) as cache_read_tokens,
        max(input_tokens) as largest_prompt_tokens
    from llm_requests
    where
        (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
    group by session_id
),

repeated as (
    select
        session_id,
        cache_read_tokens = 0 as is_uncached
    from sessions
    -- Below 1,024 tokens a prompt cannot be cached; one request has nothing to reuse.
    where requests >= 2 and largest_prompt_tokens >= 1024
),

billed as (
    select trace_id, request_id, session_id, is_first_send, rate, tokens, cost_usd
    from context_ledger
    where
        (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
),

-- A prompt can be read where the one before it was long enough to be cached, whatever the model, and is not expired.
asked as (
    select
        requests.trace_id,
        requests.request_id,
        requests.session_id,
        requests.input_tokens >= 4096 as is_cacheable,
        coalesce(
            lag(requests.input_tokens) over one_model >= 4096
            and requests.started_at - lag(requests.started_at) over one_model <= interval 5 minutes,
            false
        ) as is_warm,
        requests.price_model,
        requests.started_at
    from llm_requests as requests
    inner join repeated on requests.session_id = repeated.session_id and repeated.is_uncached
    window one_model as (
        partition by requests.session_id, requests.model order by requests.started_at, requests.request_id
    )
),

sent as (
    select
        asked.*,
        sum(billed.cost_usd) as cost_usd,
        coalesce(sum(billed.cost_usd) filter (where asked.is_warm and not billed.is_first_send), 0) as again_usd
    from asked
    inner join billed on asked.trace_id = billed.trace_id and asked.request_id = billed.request_id
    where billed.rate = 'input'
    group by all
),

rates as (
    select
        sent.session_id,
        sent.is_cacheable,
        sent.cost_usd,
        sent.again_usd,
        max(prices.usd_per_mtok) filter (where prices.rate = 'input') as input_usd,
        max(prices.usd_per_mtok) filter (where prices.rate = 'cache_read') as read_usd,
        max(prices.usd_per_mtok) filter (where prices.rate = 'cache_write_5m') as write_usd
    from sent
    left join prices
        on
            sent.price_model = concat(prices.provider, '/', prices.model)
            and prices.tier_start_tokens = 0
            and (prices.valid_from is null or sent.started_at >= prices.valid_from)
            and (prices.valid_to is null or sent.started_at < prices.valid_to)
    group by sent.trace_id, sent.request_id, sent.session_id, sent.is_cacheable, sent.cost_usd, sent.again_usd
),

savings as (
    select
        session_id,
        sum(
            again_usd * (1 - read_usd / input_usd) - (cost_usd - again_usd) * (write_usd / input_usd - 1)
        ) filter (where is_cacheable) as saved_usd
    from rates
    group by session_id
)

select
    count(distinct repeated.session_id) as sessions,
    count(distinct repeated.session_id) filter (where is_uncached) as uncached_sessions,
    sum(cost_usd) filter (where is_uncached and rate = 'input') as uncached_cost_usd,
    cast(coalesce(sum(tokens) filter (where is_uncached and rate = 'input'), 0) as bigint) as uncached_tokens,
    -- Sessions that are better without it go on without.
    (
        select cast(sum(case when saved_usd > 0 then saved_usd when saved_usd is not null then 0 end) as double)
        from savings
    ) as saved_usd,
    (
        select billed.session_id
        from billed
        inner join repeated on billed.session_id = repeated.session_id and repeated.is_uncached
        where billed.rate = 'input'
        group by billed.session_id
        order by sum(billed.cost_usd) desc nulls last, billed.session_id
        limit 1
    ) as largest_session_id
from repeated
left join billed on repeated.session_id = billed.session_id
