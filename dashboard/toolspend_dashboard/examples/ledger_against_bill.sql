-- One row per request whose ledger does not sum to its bill: none, if all is well.
select requests.request_id, requests.cost_usd, sum(ledger.cost_usd) as ledger_cost_usd
from llm_requests as requests
left join context_ledger as ledger on requests.request_id = ledger.request_id
group by requests.request_id, requests.cost_usd
having requests.cost_usd <> sum(ledger.cost_usd)
