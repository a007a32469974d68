-- One row per response, kind, tool and rate of a session's ledger, in tokens and nano-dollars.
select
    requests.response_id,
    ledger.kind,
    ledger.tool,
    ledger.rate,
    cast(sum(ledger.tokens) as bigint) as tokens,
    cast(coalesce(sum(ledger.cost_usd), 0) * 1000000000 as bigint) as cost_nano
from context_ledger as ledger
inner join llm_requests as requests
    on ledger.trace_id = requests.trace_id and ledger.request_id = requests.request_id
where ledger.session_id = $session and requests.response_id is not null
group by all
order by all
