-- One row per file of the spool that was read before a time: it is gone, and its name is never used again.
delete from source_positions
where updated_at < ? and source like '%.spool' and not contains(source, '/')
