-- One row per call whose result was sent again most often.
select session_id, tool, started_at, result_tokens, times_sent, result_tokens * times_sent as tokens_sent, cost_usd
from tool_calls
where times_sent > 1
order by tokens_sent desc nulls last
limit 50
