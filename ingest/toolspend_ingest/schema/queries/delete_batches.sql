-- One row per batch of a session goes, that comes back changed.
delete from tool_batches
where session_id = ? and batch_id in (select unnest(cast(? as varchar[])))
