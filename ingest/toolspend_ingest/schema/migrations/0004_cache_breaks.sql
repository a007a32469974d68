-- Requests that were billed again for what had been cached, and why.
create table cache_breaks (
    request_id varchar not null,
    trace_id varchar not null,
    session_id varchar not null,
    started_at timestamp not null,
    service varchar,
    model varchar,
    base_request_id varchar not null,
    cause varchar not null,
    tool varchar,
    tool_version varchar,
    message_index bigint,
    gap_ms double not null,
    lost_tokens bigint not null,
    cost_usd decimal(18, 9)
);
