-- One row per definition that no request has sent since a time.
delete from seen_definitions
where last_seen_at < ?
