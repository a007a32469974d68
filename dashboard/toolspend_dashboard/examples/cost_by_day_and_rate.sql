-- One row per day and rate.
select date_trunc('day', started_at) as day, rate, sum(tokens) as tokens, sum(cost_usd) as cost_usd
from context_ledger
group by all
order by day, rate
