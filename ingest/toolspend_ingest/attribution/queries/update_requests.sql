-- One row per attributed request gets its cost.
update llm_requests
set
    cost_usd = cast(attributed_requests.cost_nano * 0.000000001 as decimal(18, 9)),
    is_priced = attributed_requests.is_priced
from attributed_requests
where llm_requests.rowid = attributed_requests.row_id
