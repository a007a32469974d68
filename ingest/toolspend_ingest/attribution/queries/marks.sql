-- One row per cache breakpoint of some prompts, by prompt and place.
with marks as (
    select
        prompts.p,
        unnest(try_cast(evidence.cache_marks as varchar [] [])) as mark
    from attributed_prompts as prompts
    inner join context_evidence as evidence
        on
            prompts.session_id = evidence.session_id
            and prompts.trace_id = evidence.trace_id
            and prompts.request_id = evidence.request_id
    where prompts.p in (select unnest($prompts))
),

numbers as (
    select
        p,
        try_cast(mark[1] as bigint) as place,
        coalesce(mark[2] = '1h', false) as is_hour
    from marks
)

select
    p,
    place,
    is_hour
from numbers
where place between 0 and 100000
order by
    p,
    place,
    is_hour
