-- One row per trace, with the number of its spans.
select
    trace_id,
    count(*) as spans
from spans
where trace_id in ?
group by trace_id
