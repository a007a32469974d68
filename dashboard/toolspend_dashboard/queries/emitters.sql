-- One row per service and library that sent spans.
select
    service,
    scope,
    count(*) as spans,
    max(ended_at) as last_at
from spans
group by service, scope
order by spans desc, service, scope
limit 50
