-- One row per request that has a response id, as a number.
select md5_number_lower(response_id) as number
from llm_requests
where response_id is not null
