-- One row per session among those given, with the number of its requests.
select
    session_id,
    count(*) as requests
from llm_requests
where session_id in (select unnest($sessions))
group by session_id
order by session_id
