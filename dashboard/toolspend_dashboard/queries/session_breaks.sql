-- One row per request of one session that was billed again for what had been cached, in the order of time.
select
    request_id,
    base_request_id,
    cause,
    tool,
    message_index,
    gap_ms,
    lost_tokens,
    cost_usd
from cache_breaks
where session_id = cast($session as varchar)
order by started_at, request_id
