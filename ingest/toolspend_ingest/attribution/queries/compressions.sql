-- One row per compression of the sessions, with the model requests made beneath it.
with recursive asked as (
    select
        spans.trace_id,
        llm_requests.request_id,
        spans.parent_span_id as ancestor,
        1 as depth
    from llm_requests
    inner join spans on llm_requests.trace_id = spans.trace_id and llm_requests.request_id = spans.span_id
    where llm_requests.session_id in (select unnest($sessions)) and llm_requests.compressed_tool is not null
    union all
    select
        asked.trace_id,
        asked.request_id,
        spans.parent_span_id as ancestor,
        asked.depth + 1 as depth
    from asked
    inner join spans on asked.trace_id = spans.trace_id and asked.ancestor = spans.span_id
    where asked.depth < 32
)

select
    compressions.session_id,
    compressions.rowid as row_id,
    compressions.tool,
    compressions.tool_call_id,
    compressions.chars_before,
    compressions.chars_after,
    list_sort(list(distinct asked.request_id) filter (where asked.request_id is not null)) as requests
from compressions
left join asked on compressions.trace_id = asked.trace_id and compressions.span_id = asked.ancestor
where compressions.session_id in (select unnest($sessions))
group by all
order by compressions.session_id, row_id
