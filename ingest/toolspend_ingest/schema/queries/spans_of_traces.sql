-- One row per span of these traces.
select
    trace_id,
    span_id,
    parent_span_id,
    name,
    kind,
    service,
    scope,
    scope_version,
    started_at,
    ended_at,
    duration_ms,
    status,
    cast(attributes as varchar) as attributes,
    cast(events as varchar) as events
from spans
where trace_id in (select unnest(cast(? as varchar[])))
