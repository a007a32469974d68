-- One row per stored span of which a later or fuller copy arrives: the fuller one stays, whatever the order.
delete from spans as stored
using incoming
where
    stored.trace_id = incoming.trace_id
    and stored.span_id = incoming.span_id
    and stored.started_at >= ?
    and stored.started_at <= ?
    and (incoming.ended_at, strlen(incoming.attributes), incoming.attributes)
    > (stored.ended_at, strlen(stored.attributes), cast(stored.attributes as varchar))
