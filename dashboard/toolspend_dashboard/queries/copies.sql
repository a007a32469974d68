-- One row per reason for which spans tell of a request again: how many, of how many requests, how often of one at most.
with told as (
    select
        copies.reason,
        copies.request_id,
        copies.request_trace_id,
        count(*) as spans
    from request_copies as copies
    inner join llm_requests as requests
        on requests.request_id = copies.request_id and requests.trace_id = copies.request_trace_id
    where
        (cast($since as timestamp) is null or requests.started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or requests.started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or requests.service = cast($service as varchar))
        and (cast($model as varchar) is null or requests.model = cast($model as varchar))
        and (cast($session as varchar) is null or requests.session_id = cast($session as varchar))
    group by copies.reason, copies.request_id, copies.request_trace_id
)

select
    reason,
    cast(sum(spans) as bigint) as spans,
    count(*) as requests,
    max(spans) as most,
    -- A request may be told again for several reasons.
    (select count(distinct (request_id, request_trace_id)) from told) as all_requests
from told
group by reason
order by spans desc, reason
