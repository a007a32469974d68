-- One row per compression of the sessions, with the prompts of the model requests made beneath it.
with recursive asked as (
    select
        prompts.trace_id,
        prompts.p,
        spans.parent_span_id as ancestor,
        1 as depth
    from attributed_prompts as prompts
    inner join spans on prompts.trace_id = spans.trace_id and prompts.request_id = spans.span_id
    where prompts.compressed_tool is not null
    union all
    select
        asked.trace_id,
        asked.p,
        spans.parent_span_id as ancestor,
        asked.depth + 1 as depth
    from asked
    inner join spans on asked.trace_id = spans.trace_id and asked.ancestor = spans.span_id
    where asked.depth < 32
),

sessions as (
    select distinct
        session_id,
        session
    from attributed_prompts
)

select
    sessions.session,
    compressions.rowid as row_id,
    compressions.tool,
    compressions.tool_call_id,
    compressions.chars_before,
    compressions.chars_after,
    coalesce(list_sort(list(distinct asked.p) filter (where asked.p is not null)), []) as prompts,
    compressions.trace_id,
    compressions.span_id
from compressions
inner join sessions on compressions.session_id = sessions.session_id
left join asked on compressions.trace_id = asked.trace_id and compressions.span_id = asked.ancestor
where compressions.session_id in (select unnest($sessions))
group by all
order by sessions.session, row_id
