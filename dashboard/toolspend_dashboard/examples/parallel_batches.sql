-- One row per parallel batch, the one that gained least first.
select session_id, started_at, calls, failed, wall_ms, sequential_ms, speedup
from tool_batches
order by speedup nulls last
limit 50
