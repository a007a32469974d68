-- One row per registry selection of the sessions.
select
    coalesce(sessions.session, -1) as session,
    tool_selections.rowid as row_id,
    tool_selections.offered_chars,
    tool_selections.avoided_chars,
    tool_selections.trace_id,
    tool_selections.span_id
from tool_selections
left join (
    select distinct
        session_id,
        session
    from attributed_prompts
) as sessions on tool_selections.session_id = sessions.session_id
where tool_selections.session_id in (select unnest($sessions))
order by row_id
