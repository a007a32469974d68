-- One row per span of a time in which a name is found that holds content; after one of them.
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
    status_message,
    cast(attributes as varchar) as attributes,
    cast(resource_attributes as varchar) as resource_attributes,
    cast(events as varchar) as events
from spans
where
    (started_at > cast($since as timestamp)
        or (started_at = cast($since as timestamp) and span_id > cast($after as varchar)))
    and started_at < cast($until as timestamp)
    and (
        regexp_matches(cast(attributes as varchar), cast($pattern as varchar))
        or regexp_matches(cast(events as varchar), cast($pattern as varchar))
    )
order by started_at, span_id
limit $most
