-- One row per service and library that sent spans.
select
    service,
    scope,
    count(*) as spans,
    -- An end over a year later is none, as for durations: what never ended, or another clock's.
    max(if(ended_at - started_at > interval 366 days, started_at, ended_at)) as last_at
from spans
group by service, scope
order by spans desc, service, scope
limit 50
