-- One row per tier and validity of a model's prices: where they change.
select distinct
    tier_start_tokens,
    epoch_us(valid_from) as valid_from_us,
    epoch_us(valid_to) as valid_to_us
from prices
where concat(provider, '/', model) = $model
order by all
