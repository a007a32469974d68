-- One row per span of these traces.
select
    trace_id,
    span_id
from spans
where trace_id in ?
