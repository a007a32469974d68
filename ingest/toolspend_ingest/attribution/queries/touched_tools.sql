-- One row per tool whose definition the ledger of the sessions has.
select distinct tool
from context_ledger
where session_id in (select unnest($sessions)) and kind = 'tool_definition'
