-- One row per trace that has derived rows in these sessions.
with derived as (
    select trace_id, session_id from llm_requests
    union all
    select trace_id, session_id from seen_calls
    union all
    select trace_id, session_id from tool_batches
)

select distinct trace_id
from derived
where session_id in (select unnest(cast(? as varchar[])))
order by trace_id
