-- One row per source and reason of spans that were refused or dropped, the latest 20; each says what all come to.
select
    source,
    reason,
    cast(sum(refused) as bigint) as refused,
    cast(sum(dropped) as bigint) as dropped,
    max(loaded_at) as last_at,
    cast(sum(sum(refused)) over () as bigint) as all_refused,
    cast(sum(sum(dropped)) over () as bigint) as all_dropped,
    count(*) over () as all_reasons
from ingest_log
where refused > 0 or dropped > 0
group by source, reason
order by last_at desc, source
limit 20
