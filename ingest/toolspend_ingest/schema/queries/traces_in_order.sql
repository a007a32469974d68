-- One row per trace, in the order of time.
select trace_id
from spans
group by trace_id
order by min(started_at), trace_id
