-- One row per prompt, by its number: what the ledger's rows say of it.
select
    request_id,
    trace_id,
    session_id,
    started_at,
    service,
    model
from attributed_prompts
order by p
