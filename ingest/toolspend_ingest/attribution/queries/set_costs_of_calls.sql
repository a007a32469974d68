-- One row per tool call that came to something else than its session's carry says; each has an id of its own.
update seen_calls
set
    argument_tokens = attributed_calls.argument_tokens,
    result_tokens = attributed_calls.result_tokens,
    raw_result_tokens = attributed_calls.raw_result_tokens,
    times_sent = attributed_calls.times_sent,
    cost_usd = attributed_calls.cost_usd,
    carried_tokens = attributed_calls.carried_tokens
from attributed_calls
where
    seen_calls.session_id = $session
    and seen_calls.started_at between make_timestamp($first) and make_timestamp($last)
    and seen_calls.tool_call_id = attributed_calls.tool_call_id
