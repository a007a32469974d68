-- One row per span whose content is taken out.
update spans
set attributes = incoming.attributes, events = incoming.events
from incoming
where
    spans.trace_id = incoming.trace_id
    and spans.span_id = incoming.span_id
    and spans.started_at >= $since
    and spans.started_at <= $until
