-- One row per span, at most one, that ended before a time: looking for the sessions that did takes longer.
select 1
from spans
where ended_at < $before or (started_at < $before and ended_at - started_at > $longest)
limit 1
