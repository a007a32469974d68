-- One row per prompt of the sessions: a billed request, the evidence about one, or both; `p` counts them in order.
create or replace temp table attributed_prompts as
with requests as (
    select
        *,
        rowid as row_id,
        coalesce(cache_read_tokens, 0) as read_tokens,
        coalesce(cache_write_1h_tokens, 0) as write_1h_tokens,
        coalesce(cache_write_5m_tokens, 0) as write_5m_tokens
    from llm_requests
    where session_id in (select unnest($sessions))
),

evidence as (
    select
        rowid as evidence_row_id,
        trace_id,
        request_id,
        session_id,
        started_at,
        base_request_id,
        segments,
        chars,
        json_type(delta) = 'ARRAY' as has_delta,
        json_type(output) = 'ARRAY' as has_output,
        cast(output as varchar) like '%"k"%' as has_compaction,
        list_transform(
            coalesce(try_cast(applied_edits as json []), []),
            lambda edit: {
                'is_thinking': coalesce(edit ->> '$.type', '') like 'clear_thinking%',
                'uses': least(greatest(coalesce(try_cast(edit ->> '$.cleared_tool_uses' as bigint), 0), 0), 1000000),
                'tokens': least(
                    greatest(coalesce(try_cast(edit ->> '$.cleared_input_tokens' as bigint), 0), 0), 1000000000
                )
            }
        ) as edits
    from context_evidence
    where session_id in (select unnest($sessions))
),

iterations as (
    select
        spans.trace_id,
        spans.span_id as request_id,
        unnest(
            coalesce(
                try_cast(json_extract_string(spans.attributes, '$."toolspend.usage.iterations"') as json[]),
                [
                    json_object(
                        'type', 'compaction',
                        'input_tokens', spans.attributes ->> '$."anthropic.usage.compaction.input_tokens"',
                        'output_tokens', spans.attributes ->> '$."anthropic.usage.compaction.output_tokens"'
                    )
                ]
            )
        ) as iteration
    from evidence
    inner join spans on evidence.trace_id = spans.trace_id and evidence.request_id = spans.span_id
    where evidence.has_compaction
),

told as (
    select
        trace_id,
        request_id,
        try_cast(iteration ->> '$.cache_read_input_tokens' as bigint) as read_tokens,
        try_cast(iteration ->> '$.cache_creation_input_tokens' as bigint) as write_tokens,
        try_cast(iteration ->> '$.cache_creation.ephemeral_1h_input_tokens' as bigint) as write_1h_tokens,
        try_cast(iteration ->> '$.cache_creation.ephemeral_5m_input_tokens' as bigint) as write_5m_tokens,
        try_cast(iteration ->> '$.input_tokens' as bigint) as uncached_tokens,
        try_cast(iteration ->> '$.output_tokens' as bigint) as output_tokens
    from iterations
    where iteration ->> '$.type' = 'compaction'
),

-- As `vocabularies/usage.py` bills it: what is not said to be written for an hour is for five minutes.
spent as (
    select
        trace_id,
        request_id,
        read_tokens,
        if(write_tokens is null, write_1h_tokens, least(coalesce(write_1h_tokens, 0), write_tokens)) as write_1h_tokens,
        if(
            write_tokens is null, write_5m_tokens, write_tokens - least(coalesce(write_1h_tokens, 0), write_tokens)
        ) as write_5m_tokens,
        uncached_tokens,
        output_tokens
    from told
),

compactions as (
    select
        trace_id,
        request_id,
        sum(greatest(least(coalesce(read_tokens, 0), 1000000000000), 0)) as read_tokens,
        sum(greatest(least(coalesce(write_1h_tokens, 0), 1000000000000), 0)) as write_1h_tokens,
        sum(greatest(least(coalesce(write_5m_tokens, 0), 1000000000000), 0)) as write_5m_tokens,
        sum(greatest(least(coalesce(uncached_tokens, 0), 1000000000000), 0)) as uncached_tokens,
        sum(greatest(least(coalesce(output_tokens, 0), 1000000000000), 0)) as output_tokens
    from spent
    group by trace_id, request_id
),

bills as (
    select
        *,
        coalesce(uncached_tokens, 0) as rest_tokens,
        -- A stream that was cut has a known prompt and an unknown output; of an emitter that does not say what its count
        -- of the prompt includes, only the output is known. What is known at a rate was billed, and is booked.
        (
            is_usage_known
            or coalesce(
                uncached_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens
            ) is not null
        )
        and read_tokens between -1000000000000 and 1000000000000
        and write_1h_tokens between -1000000000000 and 1000000000000
        and write_5m_tokens between -1000000000000 and 1000000000000
        and coalesce(input_tokens, 0) between -4000000000000 and 4000000000000
        and coalesce(uncached_tokens, 0) between -1000000000000 and 1000000000000
        and coalesce(output_tokens, 0) between -1000000000000 and 1000000000000
        and coalesce(web_searches, 0) between -1000000000000 and 1000000000000 as is_billed
    from requests
),

-- A prompt that was summed up within the request, and what the request then sent, are two: the longer counts.
lengths as (
    select
        bills.row_id,
        bills.read_tokens + bills.write_1h_tokens + bills.write_5m_tokens + bills.rest_tokens as tokens,
        least(coalesce(compactions.read_tokens, 0), greatest(bills.read_tokens, 0))
        + least(coalesce(compactions.write_1h_tokens, 0), greatest(bills.write_1h_tokens, 0))
        + least(coalesce(compactions.write_5m_tokens, 0), greatest(bills.write_5m_tokens, 0))
        + least(coalesce(compactions.uncached_tokens, 0), greatest(bills.rest_tokens, 0)) as summed_up
    from bills
    left join compactions on bills.trace_id = compactions.trace_id and bills.request_id = compactions.request_id
),

-- The price at the time and for the length: of several the highest tier that the prompt reaches, then the latest.
priced as (
    select
        bills.row_id,
        prices.rate,
        arg_max(
            cast(cast(prices.usd_per_mtok as decimal(38, 9)) * 1000000000 as bigint),
            (prices.tier_start_tokens, coalesce(prices.valid_from, timestamp '0001-01-01'), prices.usd_per_mtok)
        ) as nano_usd_per_mtok
    from bills
    inner join lengths on bills.row_id = lengths.row_id
    inner join prices
        on
            bills.price_model = concat(prices.provider, '/', prices.model)
            and (prices.valid_from is null or bills.started_at >= prices.valid_from)
            and (prices.valid_to is null or bills.started_at < prices.valid_to)
            and (
                prices.tier_start_tokens <= 0
                or greatest(lengths.tokens - lengths.summed_up, lengths.summed_up) > prices.tier_start_tokens
            )
    where bills.is_billed
    group by bills.row_id, prices.rate
),

by_rate as (
    select
        row_id,
        any_value(nano_usd_per_mtok) filter (where rate = 'cache_read') as price_cache_read,
        any_value(nano_usd_per_mtok) filter (where rate = 'cache_write_1h') as price_cache_write_1h,
        any_value(nano_usd_per_mtok) filter (where rate = 'cache_write_5m') as price_cache_write_5m,
        any_value(nano_usd_per_mtok) filter (where rate = 'input') as price_input,
        any_value(nano_usd_per_mtok) filter (where rate = 'output') as price_output,
        any_value(nano_usd_per_mtok) filter (where rate = 'fee') as price_fee
    from priced
    group by row_id
),

merged as (
    select
        coalesce(bills.session_id, evidence.session_id) as session_id,
        coalesce(bills.request_id, evidence.request_id) as request_id,
        coalesce(bills.trace_id, evidence.trace_id) as trace_id,
        coalesce(bills.started_at, evidence.started_at) as started_at,
        bills.row_id,
        bills.service,
        bills.model,
        bills.price_model,
        coalesce(bills.compressed_tool, bills.advising_tool) as compressed_tool,
        coalesce(bills.compressed_tool is null and bills.advising_tool is not null, false) as is_advice,
        bills.stop_reason,
        coalesce(bills.is_billed, false) as is_billed,
        coalesce(bills.is_usage_known, false) as is_usage_known,
        coalesce(bills.is_usage_known or bills.uncached_tokens is not null, false) as is_prompt_known,
        bills.tools_offered,
        if(bills.is_billed, bills.read_tokens, 0) as read_tokens,
        if(bills.is_billed, bills.write_1h_tokens, 0) as write_1h_tokens,
        if(bills.is_billed, bills.write_5m_tokens, 0) as write_5m_tokens,
        if(bills.is_billed, bills.rest_tokens, 0) as rest_tokens,
        if(bills.is_billed, bills.output_tokens, null) as output_tokens,
        if(bills.thinking_tokens between 0 and 1000000000000, bills.thinking_tokens, null) as thinking_tokens,
        if(bills.is_billed, coalesce(bills.web_searches, 0), 0) as web_searches,
        compactions.read_tokens as compaction_read,
        compactions.write_1h_tokens as compaction_write_1h,
        compactions.write_5m_tokens as compaction_write_5m,
        compactions.uncached_tokens as compaction_uncached,
        compactions.output_tokens as compaction_output,
        by_rate.* exclude (row_id),
        evidence.evidence_row_id,
        evidence.request_id is not null as has_evidence,
        coalesce(evidence.has_delta, false) as has_delta,
        coalesce(evidence.has_output, false) as has_output,
        evidence.base_request_id,
        evidence.segments,
        evidence.chars,
        list_sum(list_transform(evidence.edits, lambda edit: edit.uses)) as cleared_uses,
        list_sum(
            list_transform(evidence.edits, lambda edit: if(edit.is_thinking, 0, edit.tokens))
        ) as cleared_result_tokens,
        list_sum(
            list_transform(evidence.edits, lambda edit: if(edit.is_thinking, edit.tokens, 0))
        ) as cleared_thinking_tokens,
        hash(
            coalesce(bills.session_id, evidence.session_id), bills.service, bills.agent, bills.model
        ) as stream
    from bills
    full outer join evidence
        on
            bills.session_id = evidence.session_id
            and bills.trace_id = evidence.trace_id
            and bills.request_id = evidence.request_id
    left join compactions
        on evidence.trace_id = compactions.trace_id and evidence.request_id = compactions.request_id
    left join by_rate on bills.row_id = by_rate.row_id
),

numbered as (
    select
        *,
        row_number() over (order by session_id, started_at, request_id, trace_id) - 1 as p,
        dense_rank() over (order by session_id) - 1 as session,
        dense_rank() over (order by model nulls first) - 1 as model_code
    from merged
),

bases as (
    select
        session_id,
        request_id,
        min(p) as p
    from numbered
    where has_evidence
    group by session_id, request_id
)

select
    numbered.*,
    bases.p as base
from numbered
left join bases on numbered.session_id = bases.session_id and numbered.base_request_id = bases.request_id
order by numbered.p
