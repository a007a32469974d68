-- One row per session whose calls are all told anew goes.
delete from session_carries
where session_id in (select unnest($sessions))
