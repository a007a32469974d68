-- One row per tool call of a session goes, that comes back changed or told by a span.
delete from tool_calls
where session_id = ? and tool_call_id in ?
