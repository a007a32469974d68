-- One row per selection: sessions of several requests that never read the prompt cache, and what their input cost.
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
    select session_id, rate, tokens, cost_usd
    from context_ledger
    where
        (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
)

select
    count(distinct repeated.session_id) as sessions,
    count(distinct repeated.session_id) filter (where is_uncached) as uncached_sessions,
    sum(cost_usd) filter (where is_uncached and rate = 'input') as uncached_cost_usd,
    cast(coalesce(sum(tokens) filter (where is_uncached and rate = 'input'), 0) as bigint) as uncached_tokens,
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
