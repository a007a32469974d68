-- One row per provider, model, rate, tier and validity.
insert into prices by name
select
    provider,
    model,
    rate,
    cast(usd_per_mtok as decimal(18, 9)) as usd_per_mtok,
    tier_start_tokens,
    valid_from,
    valid_to,
    source
from incoming_prices
