-- One row per tool: its latest definition, and how many versions were seen.
select
    tool,
    arg_max(tool_version, last_seen_at) as tool_version,
    arg_max(declared_version, last_seen_at) as declared_version,
    arg_max(description, last_seen_at) as description,
    cast(arg_max(input_schema, last_seen_at) as varchar) as input_schema,
    arg_max(definition_tokens, last_seen_at) as definition_tokens,
    count(*) as versions,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from tool_definitions
group by tool
order by tool
