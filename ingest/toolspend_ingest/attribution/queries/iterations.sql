-- One row per request of the sessions whose response holds a compaction, with its usage by iteration.
select
    evidence.request_id,
    json_extract_string(spans.attributes, '$."toolspend.usage.iterations"') as iterations
from context_evidence as evidence
inner join spans on evidence.trace_id = spans.trace_id and evidence.request_id = spans.span_id
where evidence.session_id in (select unnest($sessions)) and cast(evidence.output as varchar) like '%"k"%'
