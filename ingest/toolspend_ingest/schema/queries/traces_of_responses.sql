-- One row per trace that holds a billed request with one of these response ids.
select distinct trace_id
from llm_requests
where response_id in (select unnest(cast(? as varchar[])))
order by trace_id
