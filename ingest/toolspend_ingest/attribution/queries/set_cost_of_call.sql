-- One row per tool call that came to something else than its session's carry says: the one of this id and time.
update seen_calls
set
    argument_tokens = ?,
    result_tokens = ?,
    raw_result_tokens = ?,
    times_sent = ?,
    cost_usd = ?,
    carried_tokens = ?
where session_id = ? and tool_call_id = ? and started_at = make_timestamp(?)
