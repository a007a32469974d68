-- One row per stored span that may be one of a few incoming ones, by its id; the first is enough.
select 1
from spans
where span_id in ? and started_at between ? and ?
limit 1
