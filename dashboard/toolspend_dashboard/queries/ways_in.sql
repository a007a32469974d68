-- One row per way that spans come in: over the network, from the spool, from files.
select
    case
        when source in ('otlp-http', 'otlp-grpc') then source
        when source like '%.spool' and not contains(source, '/') then 'spool'
        else 'files'
    end as way,
    count(distinct source) as sources,
    cast(sum(spans) as bigint) as spans,
    cast(sum(duplicates) as bigint) as duplicates,
    cast(sum(refused) as bigint) as refused,
    cast(sum(dropped) as bigint) as dropped,
    max(loaded_at) as last_at
from ingest_log
group by way
order by spans desc, way
