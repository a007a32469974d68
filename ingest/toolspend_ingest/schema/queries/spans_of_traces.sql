-- One row per span of these traces that anything may follow from: those that may say something, all above them, and one
-- for each set of session names that others say.
with recursive theirs as materialized (
    select rowid as place
    from spans
    where trace_id in (select unnest(cast($traces as varchar[])))
),

of_traces as materialized (
    select
        rowid as place,
        trace_id,
        span_id,
        parent_span_id,
        kind = $log_kind
        or coalesce(scope in $scopes, false)
        or starts_with(name, $call)
        or regexp_matches(cast(attributes as varchar), $marks) as may_speak,
        case when not may_speak then json_extract(attributes, $sessions) end as named
    from spans
    where rowid in (select place from theirs)
),

above as (
    select
        silent.place,
        silent.trace_id,
        silent.parent_span_id
    from of_traces as silent
    inner join of_traces as below
        on silent.trace_id = below.trace_id and silent.span_id = below.parent_span_id
    where below.may_speak and not silent.may_speak
    union
    select
        silent.place,
        silent.trace_id,
        silent.parent_span_id
    from above as below
    inner join of_traces as silent
        on silent.trace_id = below.trace_id and silent.span_id = below.parent_span_id
    where not silent.may_speak
),

places as (
    select place
    from of_traces
    where may_speak
    union
    select place
    from above
    union
    select min(place)
    from of_traces
    where len(list_filter(named, lambda name: name is not null)) > 0
    group by
        trace_id,
        named
)

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
where rowid in (select place from places)
