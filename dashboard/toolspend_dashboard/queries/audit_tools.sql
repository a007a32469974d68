-- One row per service and tool that it offers: the tool's latest definition, and the side effects it declared.
with offered as (
    select distinct service, tool
    from context_ledger
    where
        kind = 'tool_definition'
        and tool is not null
        and (cast($since as timestamp) is null or started_at >= cast($since as timestamp))
        and (cast($until as timestamp) is null or started_at < cast($until as timestamp))
        and (cast($service as varchar) is null or service = cast($service as varchar))
        and (cast($session as varchar) is null or session_id = cast($session as varchar))
        and (cast($model as varchar) is null or model = cast($model as varchar))
),

definitions as (
    select
        tool,
        arg_max(description, last_seen_at) as description,
        cast(arg_max(input_schema, last_seen_at) as varchar) as input_schema
    from tool_definitions
    group by tool
),

declared as (
    select tool, bool_or(has_side_effects) as has_side_effects
    from tool_calls
    group by tool
)

select
    offered.service,
    offered.tool,
    definitions.tool is not null as is_defined,
    definitions.description,
    definitions.input_schema,
    declared.has_side_effects
from offered
left join definitions on offered.tool = definitions.tool
left join declared on offered.tool = declared.tool
order by offered.service nulls last, offered.tool
