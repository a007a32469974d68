-- One row per session that has derived rows from these traces.
with derived as (
    select trace_id, session_id from llm_requests
    union all
    select trace_id, session_id from seen_calls
    union all
    select trace_id, session_id from tool_batches
    union all
    select trace_id, session_id from tool_selections
    union all
    select trace_id, session_id from compressions
)

select distinct session_id
from derived
where trace_id in (select unnest(cast(? as varchar[])))
order by session_id
