-- One row per tool call of a session goes, that comes back changed or told by a span; the times bound the search.
delete from seen_calls
where session_id = ? and tool_call_id in ? and started_at between ? and ?
