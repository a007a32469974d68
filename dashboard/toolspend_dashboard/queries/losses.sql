-- One row per source and reason of spans that were refused or dropped, the latest first.
select
    source,
    reason,
    cast(sum(refused) as bigint) as refused,
    cast(sum(dropped) as bigint) as dropped,
    max(loaded_at) as last_at
from ingest_log
where refused > 0 or dropped > 0
group by source, reason
order by last_at desc, source
limit 20
