-- One row per store: how much it holds, from when to when, and when something was last loaded.
select
    (select count(*) from spans) as spans,
    (select count(*) from llm_requests) as requests,
    (select count(*) from tool_calls) as calls,
    (select min(started_at) from llm_requests) as first_at,
    (select max(started_at) from llm_requests) as last_at,
    (select max(loaded_at) from ingest_log) as loaded_at
