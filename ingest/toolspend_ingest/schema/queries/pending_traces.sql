-- One row per trace to derive, those that have waited longest first.
select trace_id
from pending_traces
group by trace_id
order by min(rowid)
