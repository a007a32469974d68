-- One row per trace with a billed request that may tell of one of these, which another emitter told in another trace.
-- One of the two has no response id to say so; they have the same tokens of one service, and run at the same time.
with told as (
    select unnest(cast(? as struct(
        trace_id varchar,
        service varchar,
        scope varchar,
        input_tokens bigint,
        is_identified boolean,
        started_at timestamp,
        ended_at timestamp
    )[])) as request
)

select distinct stored.trace_id
from llm_requests as stored
inner join told
    on
        stored.input_tokens = told.request.input_tokens
        and stored.service is not distinct from told.request.service
        and stored.scope is distinct from told.request.scope
where
    stored.trace_id <> told.request.trace_id
    and not (told.request.is_identified and stored.response_id is not null)
    and stored.started_at <= told.request.ended_at
    and stored.started_at + to_milliseconds(stored.duration_ms) >= told.request.started_at
    and stored.started_at >= (select min(each.request.started_at) - interval 1 day from told as each)
order by stored.trace_id
