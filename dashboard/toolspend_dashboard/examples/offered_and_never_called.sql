-- One row per tool that was offered and never called.
select tool, context_tokens, definition_cost_usd
from tool_costs
where calls = 0
order by definition_cost_usd desc nulls last
