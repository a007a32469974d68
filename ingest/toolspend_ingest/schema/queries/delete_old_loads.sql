-- One row per load before a time.
delete from ingest_log
where loaded_at < ?
