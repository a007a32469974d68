-- One row per basis: how the tokens of the selection were attributed.
select
    basis,
    cast(sum(tokens) as bigint) as tokens,
    sum(cost_usd) as cost_usd
from context_ledger
where
    rate <> 'fee'
    and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
    and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
    and (cast($service as varchar) is null or service = cast($service as varchar))
    and (cast($model as varchar) is null or model = cast($model as varchar))
    and (cast($session as varchar) is null or session_id = cast($session as varchar))
group by basis
order by tokens desc, basis
