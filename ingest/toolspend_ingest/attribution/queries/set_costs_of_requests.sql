-- One row per request that a session has got gets its cost.
update llm_requests
set
    cost_usd = cast(attributed_requests.cost_nano * 0.000000001 as decimal(18, 9)),
    is_priced = attributed_requests.is_priced
from attributed_requests
where
    llm_requests.session_id = $session
    and llm_requests.trace_id = attributed_requests.trace_id
    and llm_requests.request_id = attributed_requests.request_id
