-- One row per billed request of some prompts, with the moment from which what it wrote to the cache can be read.
select
    prompts.p,
    epoch_us(requests.started_at)
    + cast(coalesce(requests.time_to_first_token_ms, requests.duration_ms, 0) * 1000 as bigint) as answered_us
from attributed_prompts as prompts
inner join llm_requests as requests
    on
        prompts.session_id = requests.session_id
        and prompts.trace_id = requests.trace_id
        and prompts.request_id = requests.request_id
where prompts.p in (select unnest($prompts))
order by prompts.p
