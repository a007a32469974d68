-- One row per trace that was derived. Spans that are stored meanwhile are not seen here, and keep a row of their own.
delete from pending_traces
where trace_id in (select unnest(cast(? as varchar[])))
