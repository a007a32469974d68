-- One row per tool call that a session has sent again gets its tokens and cost; each has an id of its own.
update tool_calls
set
    argument_tokens = attributed_calls.argument_tokens,
    result_tokens = attributed_calls.result_tokens,
    raw_result_tokens = attributed_calls.raw_result_tokens,
    times_sent = attributed_calls.times_sent,
    cost_usd = attributed_calls.cost_usd
from attributed_calls
where
    tool_calls.session_id = $session
    and tool_calls.tool_call_id = attributed_calls.tool_call_id
