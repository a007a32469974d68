-- One row per time bucket and way that spans came in by.
select
    time_bucket(to_seconds(cast($bucket_s as bigint)), loaded_at) as bucket_at,
    case
        when source in ('otlp-http', 'otlp-grpc') then source
        when source like '%.spool' and not contains(source, '/') then 'spool'
        else 'files'
    end as way,
    cast(sum(spans) as bigint) as spans
from ingest_log
where cast($since as timestamp) is null or loaded_at >= cast($since as timestamp)
group by bucket_at, way
having sum(spans) > 0
order by bucket_at, way
