-- One row per item of the evidence about the prompts: 0 of a delta, 1 restated, 2 of an output; `n` is its place.
with documents as (
    select
        prompts.p,
        prompts.session,
        0 as part,
        try_cast(evidence.delta as varchar [] []) as items
    from attributed_prompts as prompts
    inner join context_evidence as evidence on prompts.evidence_row_id = evidence.rowid
    where prompts.has_delta
    union all
    select
        prompts.p,
        prompts.session,
        2 as part,
        try_cast(evidence.output as varchar [] []) as items
    from attributed_prompts as prompts
    inner join context_evidence as evidence on prompts.evidence_row_id = evidence.rowid
    where prompts.has_output
),

-- Restated: runs of `[index, segment, ...]`. Only a prompt that lost something needs them.
runs as (
    select
        prompts.p,
        prompts.session,
        unnest(try_cast(evidence.restated as json [] [])) as run
    from attributed_prompts as prompts
    inner join context_evidence as evidence on prompts.evidence_row_id = evidence.rowid
    where evidence.restated is not null and prompts.session in (select unnest($broken))
),

restated as (
    select
        p,
        session,
        try_cast(run[1] as bigint) as first_index,
        unnest(run[2:]) as item,
        generate_subscripts(run[2:], 1) - 1 as offset_index
    from runs
    where json_type(run[1]) in ('UBIGINT', 'BIGINT')
),

items as (
    select
        p,
        session,
        part,
        unnest(items) as item,
        generate_subscripts(items, 1) - 1 as n
    from documents
    union all
    select
        p,
        session,
        1 as part,
        try_cast(item as varchar []) as item,
        first_index + offset_index as n
    from restated
    where first_index between 0 and 100000
),

numbers as (
    select
        p,
        session,
        part,
        n,
        item,
        if(regexp_full_match(item[1], '-?\d{1,18}'), try_cast(item[1] as bigint), null) as first_number,
        if(regexp_full_match(item[2], '-?\d{1,30}'), least(try_cast(item[2] as double), 1e15), null) as second_number
    from items
),

split as (
    select
        p,
        session,
        part,
        n,
        item,
        part = 0 and len(item) = 2 and first_number is not null and second_number is not null as is_copy,
        first_number,
        cast(second_number as bigint) as second_number,
        if(first_number is null and second_number >= 0, item, null) as segment
    from numbers
)

select
    p,
    session,
    part,
    n,
    is_copy,
    if(is_copy, greatest(first_number, 0), 0) as copied_from,
    if(is_copy, greatest(second_number, 0), 0) as copied,
    coalesce(nullif(strpos('dsuatcrk', if(len(segment[1]) = 1, segment[1], '?')), 0), 9) - 1 as kind,
    if(segment is null, 0, least(second_number, 33554432)) as chars,
    nullif(segment[3], '') as tool,
    nullif(segment[4], '') as id,
    coalesce(contains(segment[5], 'i'), false) as is_image,
    coalesce(contains(segment[5], 'p'), false) as is_document,
    coalesce(contains(segment[5], 's'), false) as is_server,
    coalesce(contains(segment[5], 'l'), false) as is_deferred,
    coalesce(contains(segment[5], 'e'), false) as is_error,
    greatest(
        least(coalesce(try_cast(segment[6] as bigint), 0), 134217728) - coalesce(second_number, 0), 0
    ) as extra_bytes,
    greatest(least(coalesce(try_cast(segment[7] as bigint), 0), 33554432), 0) as weight,
    greatest(least(coalesce(try_cast(segment[8] as bigint), 0), 33554432), 0) as digits
from split
order by part, p, n, item
