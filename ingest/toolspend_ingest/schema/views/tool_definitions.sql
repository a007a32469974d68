-- One row per tool and version of its definition.
create or replace view tool_definitions as
with billed as (
    select
        tool,
        tool_version,
        sum(tokens) as tokens,
        count(distinct (trace_id, request_id)) as requests
    from context_ledger
    where kind = 'tool_definition'
    group by tool, tool_version
)

select
    seen_definitions.tool,
    seen_definitions.tool_version,
    seen_definitions.declared_version,
    seen_definitions.description,
    seen_definitions.input_schema,
    seen_definitions.definition_chars,
    cast(round(billed.tokens / billed.requests) as bigint) as definition_tokens,
    seen_definitions.first_seen_at,
    seen_definitions.last_seen_at
from seen_definitions
left join billed
    on seen_definitions.tool = billed.tool and seen_definitions.tool_version = billed.tool_version
