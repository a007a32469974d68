-- One row per store: how large its file and its log are, how much of the file is free to be used again, and what it holds.
select
    sizes.block_size * sizes.total_blocks as file_bytes,
    sizes.block_size * sizes.free_blocks as free_bytes,
    cast(parse_formatted_bytes(sizes.wal_size) as bigint) as log_bytes,
    (select count(*) from spans) as spans,
    (select count(*) from spans where started_at > now() at time zone 'UTC' + interval 1 day) as spans_ahead,
    (select min(started_at) from spans) as first_at
from pragma_database_size() as sizes
where sizes.database_name = current_database()
