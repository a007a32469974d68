-- One row per request of the sessions that evidence describes, in the order of time.
select
    session_id,
    request_id,
    started_at,
    base_request_id,
    cast(delta as varchar) as delta,
    cast(restated as varchar) as restated,
    segments,
    chars,
    cast(output as varchar) as output
from context_evidence
where session_id in (select unnest($sessions))
order by session_id, started_at, request_id, trace_id
