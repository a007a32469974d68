-- One row per service and instrumentation that told of its requests.
select distinct
    service,
    scope
from llm_requests
