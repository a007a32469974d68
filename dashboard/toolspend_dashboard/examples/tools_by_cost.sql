-- One row per tool, the most expensive first.
select tool, calls, errors, context_tokens, total_cost_usd, carry_cost_usd, cost_share
from tool_costs
order by total_cost_usd desc nulls last
