-- One row per tool with results in the prompts: what they cost, first and sent again.
select
    tool,
    sum(cost_usd) as cost_usd
from context_ledger
where
    kind = 'tool_result'
    and tool is not null
    and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
    and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
    and (cast($service as varchar) is null or service = cast($service as varchar))
    and (cast($model as varchar) is null or model = cast($model as varchar))
    and (cast($session as varchar) is null or session_id = cast($session as varchar))
group by tool
order by cost_usd desc nulls last, tool
