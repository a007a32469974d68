-- One row per request, owner and rate.
insert into context_ledger by name
select
    request_id,
    trace_id,
    session_id,
    started_at,
    service,
    model,
    kind,
    tool,
    tool_version,
    is_first_send,
    rate,
    tokens,
    cast(cost_nano * 0.000000001 as decimal(18, 9)) as cost_usd,
    basis
from attributed_rows
