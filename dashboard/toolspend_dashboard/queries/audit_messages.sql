-- One row per tool and text of a failure, of calls whose content was captured; at most 200 characters of it.
with results as (
    select
        tool_calls.tool,
        tool_calls.status,
        spans.attributes ->> 'gen_ai.tool.call.result' as result,
        spans.status_message
    from tool_calls
    inner join spans
        on
            tool_calls.trace_id = spans.trace_id
            and tool_calls.span_id = spans.span_id
            and tool_calls.started_at = spans.started_at
    where
        (cast($since as timestamp) is null or tool_calls.started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or tool_calls.started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or tool_calls.service = cast($service as varchar))
        and (cast($session as varchar) is null or tool_calls.session_id = cast($session as varchar))
        and (
            cast($model as varchar) is null
            or tool_calls.request_id in (select request_id from llm_requests where model = cast($model as varchar))
        )
)

select
    tool,
    left(coalesce(result, status_message), 200) as message,
    count(*) as calls
from results
where status = 'error' and coalesce(result, status_message) is not null
group by all
order by tool, calls desc, message
