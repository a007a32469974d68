-- One row per request, owner and rate.
insert into context_ledger by name
select
    * exclude (cost_nano),
    cast(cost_nano * 0.000000001 as decimal(18, 9)) as cost_usd
from attributed_rows
