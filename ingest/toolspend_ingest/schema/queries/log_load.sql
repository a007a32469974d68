-- One row per load of a source.
insert into ingest_log (source, loaded_at, spans, duplicates, refused, dropped, reason)
values (?, ?, ?, ?, ?, ?, ?)
