-- One row per trace that holds a copy of a request in these traces, or the request that stands for one of theirs.
with linked as (
    select trace_id, request_trace_id from request_copies
    union all
    select request_trace_id as trace_id, trace_id as request_trace_id from request_copies
)

select distinct request_trace_id
from linked
where trace_id in (select unnest(cast(? as varchar[]))) and request_trace_id <> trace_id
order by request_trace_id
