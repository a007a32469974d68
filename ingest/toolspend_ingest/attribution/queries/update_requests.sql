-- One row per attributed request gets its cost.
update llm_requests
set
    cost_usd = attributed_requests.cost_usd,
    is_priced = attributed_requests.is_priced and llm_requests.is_usage_known
from attributed_requests
where llm_requests.rowid = attributed_requests.row_id
