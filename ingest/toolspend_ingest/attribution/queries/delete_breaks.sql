-- One row per cache break of the sessions goes.
delete from cache_breaks
where session_id in (select unnest($sessions))
