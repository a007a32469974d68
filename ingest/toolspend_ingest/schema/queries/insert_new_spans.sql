-- One row per incoming span that is not stored yet. A span that is sent again has the start that it had.
insert into spans by name
select incoming.*
from incoming
where not exists (
    select 1
    from spans as stored
    where
        stored.trace_id = incoming.trace_id
        and stored.span_id = incoming.span_id
        and stored.started_at >= ?
        and stored.started_at <= ?
)
