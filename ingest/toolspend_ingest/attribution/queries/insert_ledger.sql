-- One row per owner and rate of one request: few rows, in lists.
insert into context_ledger (
    request_id, trace_id, session_id, started_at, service, model,
    kind, tool, tool_version, is_first_send, rate, tokens, cost_usd, basis
)
select
    ?, ?, ?, ?, ?, ?,
    unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)
