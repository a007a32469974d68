-- One row per tool and version: what is known of it only grows, so the order of arrival cannot matter.
merge into seen_definitions as known
using (
    select
        tool,
        tool_version,
        max(declared_version) as declared_version,
        max(description) as description,
        max(input_schema) as input_schema,
        max(definition_chars) as definition_chars,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from incoming
    group by tool, tool_version
) as seen
on known.tool = seen.tool and known.tool_version = seen.tool_version
when matched then update set
    declared_version = greatest(known.declared_version, seen.declared_version),
    description = greatest(known.description, seen.description),
    input_schema = greatest(cast(known.input_schema as varchar), seen.input_schema),
    definition_chars = greatest(known.definition_chars, seen.definition_chars),
    first_seen_at = least(known.first_seen_at, seen.first_seen_at),
    last_seen_at = greatest(known.last_seen_at, seen.last_seen_at)
when not matched then insert (
    tool, tool_version, declared_version, description, input_schema, definition_chars, first_seen_at, last_seen_at
) values (
    seen.tool, seen.tool_version, seen.declared_version, seen.description, seen.input_schema, seen.definition_chars,
    seen.first_seen_at, seen.last_seen_at
)
