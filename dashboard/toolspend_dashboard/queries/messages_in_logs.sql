-- One row per store: how many spans log records tell of, and how many of these spans have not come.
with told as (
    select distinct
        trace_id,
        parent_span_id as span_id
    from spans
    where kind = 'log'
)

select
    count(*) as spans,
    count(*) filter (where not exists (
        select 1
        from spans
        where spans.trace_id = told.trace_id and spans.span_id = told.span_id
    )) as missing
from told
