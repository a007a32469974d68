-- One row per session that has no calls any more goes.
delete from session_carries
where session_id not in (select session_id from seen_calls)
