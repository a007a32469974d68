-- One row per version of a tool that was called: how its calls went, with 95 % intervals, beside the version before it.
create or replace view tool_versions as
with called as (
    select tool, tool_version, declared_version, bool_or(is_called) as is_called
    from (
        select distinct tool, tool_version, declared_version, true as is_called
        from seen_calls
        union all
        select tool, tool_version, declared_version, false as is_called
        from seen_definitions
    )
    group by tool, tool_version, declared_version
),

-- What one call or the definition says is so for every call of the same hash.
declared as (
    select
        tool,
        tool_version,
        declared_version,
        is_called,
        if(
            tool_version is null, declared_version, max(declared_version) over (partition by tool_version)
        ) as said_version
    from called
),

-- `search_v2` is a version of `search`, whether it was declared or only the name says so; so is `search` itself.
parted as (
    select
        tool,
        tool_version,
        declared_version,
        is_called,
        said_version,
        -- As the tool layer names a version: 2.0-beta of `search` is `search_v2_0_beta`.
        '_v' || trim(regexp_replace(said_version, '[^A-Za-z0-9]+', '_', 'g'), '_') as suffix,
        if(
            ends_with(tool, suffix) and tool <> suffix,
            left(tool, -length(suffix)),
            coalesce(
                nullif(
                    regexp_replace(
                        tool,
                        '[_-]v[0-9]+((a|b|rc)[0-9]+)?'
                        || '([._-]([0-9]+((a|b|rc)[0-9]+)?|(alpha|beta|rc|pre|preview|dev)[0-9]*))*$',
                        ''
                    ),
                    ''
                ),
                tool
            )
        ) as base
    from declared
),

-- The bare name and aliases call the definition of a version, whose hash they have: they are of its family.
names as (
    select
        tool,
        tool_version,
        declared_version,
        is_called,
        said_version,
        base <> tool as is_versioned,
        coalesce(
            if(tool_version is null, null, max(if(base <> tool, base, null)) over (partition by tool_version)), base
        ) as family,
        coalesce(tool_version, declared_version, nullif(substring(tool, length(base) + 3), ''), 'unknown') as version
    from parted
),

numbered as (
    select *, dense_rank() over (order by family, version) as id
    from names
    where is_called
),

versions as (
    select
        id,
        family,
        version as tool_version,
        coalesce(max(tool) filter (where is_versioned), max(tool)) as tool,
        list_sort(list(distinct tool)) as names,
        max(said_version) as declared_version
    from numbered
    group by id, family, version
),

calls as (
    select
        numbered.id,
        tool_calls.started_at,
        tool_calls.status,
        tool_calls.result_tokens,
        cast(tool_calls.cost_usd as double) as cost_usd,
        tool_calls.duration_ms
    from tool_calls
    inner join numbered
        on
            tool_calls.tool = numbered.tool
            and tool_calls.tool_version is not distinct from numbered.tool_version
            and tool_calls.declared_version is not distinct from numbered.declared_version
),

-- A failed call is cheap and quick: sizes, costs and times are those of calls that worked.
counted as (
    select
        id,
        min(started_at) as first_called_at,
        max(started_at) as last_called_at,
        count(*) as calls,
        count(*) filter (where status = 'error') as errors,
        count(result_tokens) filter (where status <> 'error') as sized_calls,
        avg(result_tokens) filter (where status <> 'error') as result_tokens_mean,
        var_samp(result_tokens) filter (where status <> 'error') as var_result_tokens,
        count(cost_usd) filter (where status <> 'error') as priced_calls,
        avg(cost_usd) filter (where status <> 'error') as cost_usd_mean,
        var_samp(cost_usd) filter (where status <> 'error') as var_cost_usd,
        count(duration_ms) filter (where status <> 'error') as timed_calls,
        list_sort(list(duration_ms) filter (where status <> 'error' and duration_ms is not null)) as durations,
        -- greatest() passes over NULL: a time that is not known would count as the least.
        avg(ln(greatest(duration_ms, 0.001))) filter (where status <> 'error' and duration_ms is not null)
            as mean_log_ms,
        var_samp(ln(greatest(duration_ms, 0.001))) filter (where status <> 'error' and duration_ms is not null)
            as var_log_ms
    from calls
    group by id
),

-- Wilson's interval for the share of errors, the usual one for means, order statistics for the median.
measured as (
    select
        versions.* exclude (id),
        counted.* exclude (id),
        errors / calls as error_share,
        (errors + 1.92) / (calls + 3.84) as error_centre,
        1.96 * sqrt(errors * (calls - errors) / calls + 0.96) / (calls + 3.84) as error_reach,
        var_result_tokens / nullif(sized_calls, 0) as tokens_error,
        var_cost_usd / nullif(priced_calls, 0) as cost_error,
        var_log_ms / nullif(timed_calls, 0) as log_ms_error
    from counted
    inner join versions on counted.id = versions.id
),

bounded as (
    select
        *,
        greatest(error_centre - error_reach, 0) as error_share_low,
        least(error_centre + error_reach, 1) as error_share_high,
        lag(tool) over one_family as previous_tool,
        lag(tool_version) over one_family as previous_version,
        lag(result_tokens_mean) over one_family as previous_tokens,
        lag(tokens_error) over one_family as previous_tokens_error,
        lag(cost_usd_mean) over one_family as previous_cost,
        lag(cost_error) over one_family as previous_cost_error,
        lag(mean_log_ms) over one_family as previous_log_ms,
        lag(log_ms_error) over one_family as previous_log_ms_error,
        lag(error_share) over one_family as previous_share,
        lag(greatest(error_centre - error_reach, 0)) over one_family as previous_share_low,
        lag(least(error_centre + error_reach, 1)) over one_family as previous_share_high
    from measured
    window one_family as (partition by family order by first_called_at, tool, tool_version)
)

select
    family,
    tool,
    tool_version,
    names,
    declared_version,
    first_called_at,
    last_called_at,
    calls,
    errors,
    error_share,
    error_share_low,
    error_share_high,
    result_tokens_mean,
    result_tokens_mean - 1.96 * sqrt(tokens_error) as result_tokens_low,
    result_tokens_mean + 1.96 * sqrt(tokens_error) as result_tokens_high,
    cost_usd_mean,
    cost_usd_mean - 1.96 * sqrt(cost_error) as cost_usd_low,
    cost_usd_mean + 1.96 * sqrt(cost_error) as cost_usd_high,
    priced_calls,
    list_aggregate(durations, 'median') as p50_ms,
    -- Ranks n/2 ∓ 0.98 √n; no interval of 95 % exists below six calls.
    case
        when timed_calls >= 6
            then durations[greatest(1, cast(floor(timed_calls / 2 - 0.98 * sqrt(timed_calls)) as bigint))]
    end as p50_ms_low,
    case
        when timed_calls >= 6
            then durations[least(timed_calls, cast(ceil(1 + timed_calls / 2 + 0.98 * sqrt(timed_calls)) as bigint))]
    end as p50_ms_high,
    previous_tool,
    previous_version,
    -- Newcombe's interval, from Wilson's of both.
    error_share - previous_share as error_share_change,
    error_share - previous_share
    - sqrt(pow(error_share - error_share_low, 2) + pow(previous_share_high - previous_share, 2)) as error_share_change_low,
    error_share - previous_share
    + sqrt(pow(error_share_high - error_share, 2) + pow(previous_share - previous_share_low, 2)) as error_share_change_high,
    result_tokens_mean - previous_tokens as result_tokens_change,
    result_tokens_mean - previous_tokens - 1.96 * sqrt(tokens_error + previous_tokens_error) as result_tokens_change_low,
    result_tokens_mean - previous_tokens + 1.96 * sqrt(tokens_error + previous_tokens_error) as result_tokens_change_high,
    cost_usd_mean - previous_cost as cost_usd_change,
    cost_usd_mean - previous_cost - 1.96 * sqrt(cost_error + previous_cost_error) as cost_usd_change_low,
    cost_usd_mean - previous_cost + 1.96 * sqrt(cost_error + previous_cost_error) as cost_usd_change_high,
    -- Times are compared by their ratio: they spread over powers of ten.
    exp(mean_log_ms - previous_log_ms) as duration_ratio,
    exp(mean_log_ms - previous_log_ms - 1.96 * sqrt(log_ms_error + previous_log_ms_error)) as duration_ratio_low,
    exp(mean_log_ms - previous_log_ms + 1.96 * sqrt(log_ms_error + previous_log_ms_error)) as duration_ratio_high
from bounded
