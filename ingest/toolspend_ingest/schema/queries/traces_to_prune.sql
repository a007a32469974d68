-- One row per trace whose sessions have all ended before a time, the sessions that ended first before the others.
with traces as (
    select
        trace_id,
        max(case when ended_at - started_at > $longest then started_at else ended_at end) as last_at,
        count(*) as spans
    from spans
    group by trace_id
),

links as (
    select trace_id, session_id from llm_requests
    union
    select trace_id, session_id from seen_calls
    union
    select trace_id, session_id from tool_batches
    union
    select trace_id, session_id from tool_selections
    union
    select trace_id, session_id from compressions
),

sessions as (
    select links.session_id, max(traces.last_at) as last_at
    from links
    inner join traces on links.trace_id = traces.trace_id
    group by links.session_id
)

select
    traces.trace_id,
    any_value(traces.spans) as spans,
    max(coalesce(sessions.last_at, traces.last_at)) as ended_at,
    max(coalesce(sessions.session_id, traces.trace_id)) as session_id
from traces
left join links on traces.trace_id = links.trace_id
left join sessions on links.session_id = sessions.session_id
group by traces.trace_id
having max(greatest(coalesce(sessions.last_at, traces.last_at), traces.last_at)) < $before
order by ended_at, session_id, traces.trace_id
