-- One row per request of one session, part of the bill and rate.
select
    request_id,
    started_at,
    case
        when kind = 'tool_definition' then 'definition'
        when kind = 'tool_use' and rate = 'output' then 'call'
        when kind = 'tool_result' and is_first_send then 'result'
        when kind in ('tool_use', 'tool_result') then 'carry'
        else kind
    end as part,
    rate,
    cast(sum(tokens) as bigint) as tokens,
    sum(cost_usd) as cost_usd,
    count(*) filter (where cost_usd is null) as unpriced_rows
from context_ledger
where session_id = cast($session as varchar)
group by all
order by started_at, request_id, part, rate
