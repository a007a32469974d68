-- What a call was billed for grows with every request that sends it again. In a session that goes on that is kept once
-- for all its calls, and the view `tool_calls` adds it.
alter table tool_calls rename to seen_calls;
alter table seen_calls add column carried_tokens bigint;
comment on table seen_calls is null;

create table session_carries (
    session_id varchar not null,
    requests bigint not null,
    usd_per_token decimal(18, 9) not null
);
