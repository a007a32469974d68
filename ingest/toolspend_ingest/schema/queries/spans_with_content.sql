-- One row per span of a time that says one of these names, in quotes, with what is known of it; after one of them.
select
    spans.trace_id,
    spans.span_id,
    spans.started_at,
    cast(spans.attributes as varchar) as attributes,
    cast(spans.events as varchar) as events,
    evidence.base_request_id,
    cast(evidence.delta as varchar) as delta,
    cast(evidence.restated as varchar) as restated,
    evidence.segments,
    evidence.chars,
    cast(evidence.cache_marks as varchar) as cache_marks,
    cast(evidence.output as varchar) as output,
    calls.argument_chars,
    calls.result_chars,
    calls.raw_result_chars
from spans
left join context_evidence as evidence
    on spans.trace_id = evidence.trace_id and spans.span_id = evidence.request_id
left join tool_calls as calls
    on spans.trace_id = calls.trace_id and spans.span_id = calls.span_id
where
    (spans.started_at > cast($since as timestamp)
        or (spans.started_at = cast($since as timestamp) and spans.span_id > cast($after as varchar)))
    and spans.started_at < cast($until as timestamp)
    and list_bool_or(
        list_transform(
            cast($names as varchar[]),
            lambda name: contains(cast(spans.attributes as varchar), name)
            or contains(cast(spans.events as varchar), name)
        )
    )
order by spans.started_at, spans.span_id
limit $most
