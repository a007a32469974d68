-- Which emitter's span stands for a request, and the spans that tell of a request that another span stands for.
alter table llm_requests add column scope varchar;

create table request_copies (
    span_id varchar not null,
    trace_id varchar not null,
    request_id varchar not null,
    request_trace_id varchar not null,
    scope varchar,
    reason varchar not null
);
