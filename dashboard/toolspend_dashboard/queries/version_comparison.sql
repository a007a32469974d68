-- One row per version of one tool's family, the oldest first; at most the newest $max_rows of them.
with family as (
    select arg_max(family, last_called_at) as family
    from tool_versions
    where list_contains(names, cast($tool as varchar))
),

versions as (
    select tool_versions.*
    from tool_versions
    inner join family on tool_versions.family = family.family
    order by tool_versions.first_called_at desc, tool_versions.tool desc, tool_versions.tool_version desc
    limit cast($max_rows as bigint)
)

select
    tool,
    tool_version,
    declared_version,
    first_called_at,
    calls,
    error_share,
    error_share_low,
    error_share_high,
    result_tokens_mean,
    result_tokens_low,
    result_tokens_high,
    cast(cost_usd_mean as double) as cost_usd_mean,
    cost_usd_low,
    cost_usd_high,
    p50_ms,
    p50_ms_low,
    p50_ms_high,
    error_share_change,
    error_share_change_low,
    error_share_change_high,
    result_tokens_change,
    result_tokens_change_low,
    result_tokens_change_high,
    cost_usd_change,
    cost_usd_change_low,
    cost_usd_change_high,
    duration_ratio,
    duration_ratio_low,
    duration_ratio_high
from versions
order by first_called_at, tool, tool_version
