-- One row per definition of the tools given gets its tokens: the average of the requests that carried it.
update tool_definitions
set definition_tokens = averages.tokens
from (
    select
        definitions.tool,
        definitions.tool_version,
        cast(round(sum(ledger.tokens) / count(distinct (ledger.trace_id, ledger.request_id))) as bigint) as tokens
    from tool_definitions as definitions
    left join context_ledger as ledger
        on
            definitions.tool = ledger.tool
            and definitions.tool_version = ledger.tool_version
            and ledger.kind = 'tool_definition'
    where definitions.tool in (select unnest($tools))
    group by definitions.tool, definitions.tool_version
) as averages
where tool_definitions.tool = averages.tool and tool_definitions.tool_version = averages.tool_version
