-- One row per compression of the sessions, with the prompts of the model requests made beneath it.
with recursive compressing as (
    select
        trace_id,
        split_part(request_id, '/', 1) as request_id,
        p
    from attributed_prompts
    where compressed_tool is not null and not is_advice
),

-- Of most sessions none: what the recursion joins with would be made of all spans.
theirs as materialized (
    select
        trace_id,
        span_id,
        parent_span_id
    from spans
    where trace_id in (select trace_id from compressing)
),

asked as (
    select
        compressing.trace_id,
        compressing.p,
        spans.parent_span_id as ancestor,
        1 as depth
    from compressing
    inner join theirs as spans on compressing.trace_id = spans.trace_id and compressing.request_id = spans.span_id
    union all
    select
        asked.trace_id,
        asked.p,
        spans.parent_span_id as ancestor,
        asked.depth + 1 as depth
    from asked
    inner join theirs as spans on asked.trace_id = spans.trace_id and asked.ancestor = spans.span_id
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
