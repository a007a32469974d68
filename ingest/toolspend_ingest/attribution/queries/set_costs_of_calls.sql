-- One row per tool call that a session has got, or sent again, gets its tokens and cost.
update tool_calls
set
    argument_tokens = attributed_calls.argument_tokens,
    result_tokens = attributed_calls.result_tokens,
    raw_result_tokens = attributed_calls.raw_result_tokens,
    times_sent = attributed_calls.times_sent,
    cost_usd = try_cast(attributed_calls.cost_nano * 0.000000001 as decimal(18, 9))
from attributed_calls
where
    tool_calls.session_id = $session
    and tool_calls.trace_id = attributed_calls.trace_id
    and tool_calls.span_id is not distinct from attributed_calls.span_id
    and tool_calls.tool_call_id is not distinct from attributed_calls.tool_call_id
