-- One row per tool and kind of error.
select tool, error_type, count(*) as calls, max(started_at) as last_at
from tool_calls
where status = 'error'
group by tool, error_type
order by calls desc, tool
