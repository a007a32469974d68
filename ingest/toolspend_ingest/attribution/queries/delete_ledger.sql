-- One row per request, owner and rate of the sessions goes.
delete from context_ledger
where session_id in (select unnest($sessions))
