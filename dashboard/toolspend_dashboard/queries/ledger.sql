-- One row per time bucket, part of the bill and tool (null for what no tool owns).
select
    time_bucket(to_seconds(cast($bucket_s as bigint)), started_at) as bucket_at,
    case
        when kind = 'tool_definition' then 'definition'
        when kind = 'tool_use' and rate = 'output' then 'call'
        when kind = 'tool_result' and is_first_send then 'result'
        when kind in ('tool_use', 'tool_result') then 'carry'
        else kind
    end as part,
    tool,
    cast(coalesce(sum(tokens) filter (where rate not in ('output', 'fee')), 0) as bigint) as context_tokens,
    cast(coalesce(sum(tokens) filter (where rate = 'output'), 0) as bigint) as output_tokens,
    cast(coalesce(sum(tokens) filter (where cost_usd is null), 0) as bigint) as unpriced_tokens,
    sum(cost_usd) as cost_usd
from context_ledger
where
    (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
    and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
    and (cast($service as varchar) is null or service = cast($service as varchar))
    and (cast($model as varchar) is null or model = cast($model as varchar))
    and (cast($session as varchar) is null or session_id = cast($session as varchar))
group by all
order by bucket_at, part, tool
