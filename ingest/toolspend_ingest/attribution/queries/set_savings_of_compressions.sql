-- One row per compression of a session that saved something else now.
update compressions
set
    tokens_before = attributed_compressions.tokens_before,
    tokens_after = attributed_compressions.tokens_after,
    cost_usd = try_cast(attributed_compressions.cost_nano * 0.000000001 as decimal(18, 9)),
    saved_usd = try_cast(attributed_compressions.saved_nano * 0.000000001 as decimal(18, 9))
from attributed_compressions
where
    compressions.session_id = $session
    and compressions.trace_id = attributed_compressions.trace_id
    and compressions.span_id = attributed_compressions.span_id
