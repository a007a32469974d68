-- One row per model that has a price.
select distinct
    provider,
    model
from prices
