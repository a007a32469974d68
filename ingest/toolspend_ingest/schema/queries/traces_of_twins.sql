-- One row per trace with a billed request that may tell of one of these, which another emitter told in another trace.
-- One of the two has no response id to say so; they have the same tokens of one service, and run at the same time.
select distinct stored.trace_id
from llm_requests as stored
inner join incoming as told
    on
        stored.input_tokens = told.input_tokens
        and stored.service is not distinct from told.service
        and stored.scope is distinct from told.scope
where
    stored.trace_id <> told.trace_id
    and not (told.is_identified and stored.response_id is not null)
    and stored.started_at <= told.ended_at
    and stored.started_at + to_milliseconds(stored.duration_ms) >= told.started_at
    and stored.started_at >= (select min(each.started_at) - interval 1 day from incoming as each)
order by stored.trace_id
