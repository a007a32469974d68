-- One row per tool call of the sessions, in the order of time, with the prompt whose answer asked for it.
with prompts as (
    select
        session_id,
        request_id,
        min(session) as session,
        min(p) as p
    from attributed_prompts
    group by session_id, request_id
),

numbers as (
    select
        session_id,
        min(session) as session
    from prompts
    group by session_id
)

select
    numbers.session,
    tool_calls.rowid as row_id,
    tool_calls.tool_call_id as id,
    tool_calls.tool,
    tool_calls.tool_version as version,
    prompts.p,
    epoch_us(tool_calls.started_at) as started_us,
    if(tool_calls.argument_chars is null, null, greatest(least(tool_calls.argument_chars, 33554432), 0)) as argument_chars,
    if(tool_calls.result_chars is null, null, greatest(least(tool_calls.result_chars, 33554432), 0)) as result_chars,
    if(tool_calls.raw_result_chars is null, null, greatest(least(tool_calls.raw_result_chars, 1000000000000), 0)) as raw_result_chars
from seen_calls as tool_calls
inner join numbers on tool_calls.session_id = numbers.session_id
left join prompts on tool_calls.session_id = prompts.session_id and tool_calls.request_id = prompts.request_id
where tool_calls.session_id in (select unnest($sessions))
order by
    numbers.session,
    tool_calls.started_at,
    concat_ws(' ', tool_calls.trace_id, tool_calls.span_id),
    tool_calls.tool_call_id,
    tool_calls.tool
