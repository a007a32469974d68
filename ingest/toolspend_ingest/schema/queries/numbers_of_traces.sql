-- One row per trace that has spans, as a number.
select md5_number_lower(trace_id) as number
from (select distinct trace_id from spans) as traces
