-- One row per price of the models that the sessions used.
select
    concat(provider, '/', model) as price_model,
    rate,
    usd_per_mtok,
    tier_start_tokens,
    valid_from,
    valid_to
from prices
where concat(provider, '/', model) in (
    select price_model from llm_requests
    where session_id in (select unnest($sessions))
)
