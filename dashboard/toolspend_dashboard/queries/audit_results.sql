-- One row per tool and text of a failure (at most 200 characters of it, of calls whose content was captured) or else the
-- number of its words, and one per tool and shape of its other results: as the content shows, else as the agent said.
with results as (
    select
        tool_calls.tool,
        tool_calls.status,
        spans.attributes ->> 'gen_ai.tool.call.result' as result,
        -- Of a text the agent says its size alone.
        coalesce(
            spans.attributes ->> 'toolspend.tool.result_shape',
            case when spans.attributes ->> 'toolspend.tool.raw_result_chars' is not null then 'text' end
        ) as shape,
        spans.status_message,
        try_cast(spans.attributes ->> 'toolspend.tool.error_words' as integer) as words
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
    case when status = 'error' then left(coalesce(result, status_message), 200) end as message,
    case when status = 'error' and coalesce(result, status_message) is null then words end as words,
    case
        when status = 'error' then null
        when result is null then split_part(shape, ':', 1)
        when json_valid(result) and json_type(result) in ('OBJECT', 'ARRAY') then lower(json_type(result))
        else 'text'
    end as kind,
    case
        when status <> 'error' and json_valid(result) and json_type(result) = 'OBJECT'
            then array_to_string(list_sort(json_keys(result)), ', ')
        when status <> 'error' and result is null and shape like 'object:%'
            then replace(split_part(shape, ':', 2), ',', ', ')
    end as keys,
    status <> 'error' and result is null as is_hashed,
    count(*) as calls
from results
where
    case
        when status = 'error' then coalesce(result, status_message, cast(words as varchar))
        else coalesce(result, shape)
    end is not null
group by all
order by tool, calls desc, message, words, kind, keys, is_hashed
