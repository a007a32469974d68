-- One row per session, the one with the most uncached tokens first.
select
    session_id,
    count(*) as requests,
    sum(input_tokens) as input_tokens,
    sum(cache_read_tokens) / nullif(sum(input_tokens), 0) as cached_share,
    sum(uncached_tokens) as uncached_tokens,
    sum(cost_usd) as cost_usd
from llm_requests
group by session_id
order by uncached_tokens desc nulls last
limit 50
