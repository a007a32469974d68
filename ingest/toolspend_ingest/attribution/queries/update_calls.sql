-- One row per attributed tool call gets its tokens and cost.
update seen_calls
set
    argument_tokens = attributed_calls.argument_tokens,
    result_tokens = attributed_calls.result_tokens,
    raw_result_tokens = attributed_calls.raw_result_tokens,
    times_sent = attributed_calls.times_sent,
    cost_usd = attributed_calls.cost_usd,
    carried_tokens = null
from attributed_calls
where seen_calls.rowid = attributed_calls.row_id
