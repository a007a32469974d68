-- One row per position of a source.
delete from source_positions
where source = ?
