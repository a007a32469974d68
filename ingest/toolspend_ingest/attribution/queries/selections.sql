-- One row per registry selection of the sessions.
select
    session_id,
    rowid as row_id,
    offered_chars,
    avoided_chars
from tool_selections
where session_id in (select unnest($sessions))
order by session_id, row_id
