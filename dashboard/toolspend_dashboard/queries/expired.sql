-- One row per selection: sessions whose cache expired within an hour, and what they would have cost less with the 1-hour cache.
with breaks as (
    select
        session_id,
        count(*) as breaks,
        sum(lost_tokens) as lost_tokens,
        sum(cost_usd) as cost_usd
    from cache_breaks
    where
        cause = 'expiry'
        and gap_ms <= 3600000
        and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
    group by session_id
),

-- What the session wrote for five minutes, all of which would have been written for an hour.
written as (
    select
        requests.session_id,
        requests.cache_write_5m_tokens as tokens,
        max(prices.usd_per_mtok) filter (where prices.rate = 'cache_write_1h') as usd_for_an_hour,
        max(prices.usd_per_mtok) filter (where prices.rate = 'cache_write_5m') as usd_for_minutes
    from llm_requests as requests
    inner join breaks on requests.session_id = breaks.session_id
    left join prices
        on
            requests.price_model = concat(prices.provider, '/', prices.model)
            and prices.tier_start_tokens = 0
            and (prices.valid_from is null or requests.started_at >= prices.valid_from)
            and (prices.valid_to is null or requests.started_at < prices.valid_to)
    where
        requests.cache_write_5m_tokens > 0
        and (cast($since as timestamp) is null or requests.started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or requests.started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or requests.service = cast($service as varchar))
        and (cast($model as varchar) is null or requests.model = cast($model as varchar))
    group by requests.session_id, requests.trace_id, requests.request_id, requests.cache_write_5m_tokens
),

dearer as (
    select
        session_id,
        sum(tokens) as tokens,
        -- Unknown where either price of any of them is.
        if(
            count(*) = count(usd_for_an_hour - usd_for_minutes),
            sum(tokens * (usd_for_an_hour - usd_for_minutes)) / 1e6,
            null
        ) as cost_usd
    from written
    group by session_id
),

-- What was lost is written once less.
by_session as (
    select
        breaks.breaks,
        breaks.cost_usd
        - if(
            dearer.session_id is null,
            0,
            dearer.cost_usd * greatest(1 - breaks.lost_tokens / dearer.tokens, 0)
        ) as saved_usd
    from breaks
    left join dearer on breaks.session_id = dearer.session_id
)

select
    count(*) as sessions,
    count(*) filter (where saved_usd > 0) as paying_sessions,
    cast(coalesce(sum(breaks), 0) as bigint) as breaks,
    cast(sum(case when saved_usd > 0 then saved_usd when saved_usd is not null then 0 end) as double) as saved_usd
from by_session
