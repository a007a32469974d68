-- The tables. Everything derived from `spans` (all but prices, ingest_log, source_positions) can be recomputed.
create table spans (
    trace_id varchar not null,
    span_id varchar not null,
    parent_span_id varchar,
    name varchar not null,
    kind varchar not null,
    service varchar,
    scope varchar,
    scope_version varchar,
    started_at timestamp not null,
    ended_at timestamp not null,
    duration_ms double not null,
    status varchar not null,
    status_message varchar,
    attributes json not null,
    resource_attributes json not null,
    events json not null
);

create table llm_requests (
    request_id varchar not null,
    trace_id varchar not null,
    session_id varchar not null,
    service varchar,
    agent varchar,
    provider varchar,
    model varchar,
    price_model varchar,
    response_id varchar,
    started_at timestamp not null,
    duration_ms double not null,
    time_to_first_token_ms double,
    input_tokens bigint,
    uncached_tokens bigint,
    cache_read_tokens bigint,
    cache_write_5m_tokens bigint,
    cache_write_1h_tokens bigint,
    output_tokens bigint,
    thinking_tokens bigint,
    web_searches bigint,
    tools_offered bigint,
    stop_reason varchar,
    status varchar not null,
    error_type varchar,
    service_tier varchar,
    user_id varchar,
    tags varchar[],
    compressed_tool varchar,
    cost_usd decimal(18, 9),
    is_priced boolean not null,
    is_usage_known boolean not null
);

-- What an emitter said a prompt and an output were made of; `delta` and the rest as in toolspend.attributes.
create table context_evidence (
    request_id varchar not null,
    trace_id varchar not null,
    session_id varchar not null,
    started_at timestamp not null,
    base_request_id varchar,
    delta json,
    restated json,
    segments bigint,
    chars bigint,
    cache_marks json,
    output json
);

create table tool_calls (
    span_id varchar,
    trace_id varchar not null,
    session_id varchar not null,
    request_id varchar,
    tool_call_id varchar,
    tool varchar not null,
    tool_version varchar,
    declared_version varchar,
    server varchar,
    service varchar,
    batch_id varchar,
    started_at timestamp not null,
    duration_ms double,
    status varchar not null,
    error_type varchar,
    argument_chars bigint,
    result_chars bigint,
    raw_result_chars bigint,
    argument_tokens bigint,
    result_tokens bigint,
    raw_result_tokens bigint,
    times_sent bigint,
    cost_usd decimal(18, 9),
    has_side_effects boolean,
    is_on_critical_path boolean
);

create table context_ledger (
    request_id varchar not null,
    trace_id varchar not null,
    session_id varchar not null,
    started_at timestamp not null,
    service varchar,
    model varchar,
    kind varchar not null,
    tool varchar,
    tool_version varchar,
    is_first_send boolean not null,
    rate varchar not null,
    tokens bigint not null,
    cost_usd decimal(18, 9),
    basis varchar not null
);

create table tool_batches (
    batch_id varchar not null,
    trace_id varchar not null,
    session_id varchar not null,
    started_at timestamp not null,
    calls bigint not null,
    failed bigint not null,
    wall_ms double,
    sequential_ms double,
    speedup double
);

create table tool_definitions (
    tool varchar not null,
    tool_version varchar not null,
    declared_version varchar,
    description varchar,
    input_schema json,
    definition_chars bigint,
    definition_tokens bigint,
    first_seen_at timestamp not null,
    last_seen_at timestamp not null
);

create table tool_selections (
    span_id varchar not null,
    trace_id varchar not null,
    session_id varchar not null,
    started_at timestamp not null,
    task_type varchar,
    candidates bigint,
    selected bigint,
    offered_chars bigint,
    avoided_chars bigint,
    offered_tokens bigint,
    avoided_tokens bigint
);

create table compressions (
    span_id varchar not null,
    trace_id varchar not null,
    session_id varchar not null,
    started_at timestamp not null,
    tool varchar,
    tool_call_id varchar,
    strategy varchar,
    chars_before bigint,
    chars_after bigint,
    tokens_before bigint,
    tokens_after bigint,
    cost_usd decimal(18, 9),
    saved_usd decimal(18, 9)
);

create table prices (
    provider varchar not null,
    model varchar not null,
    rate varchar not null,
    usd_per_mtok decimal(18, 9) not null,
    tier_start_tokens bigint not null,
    valid_from timestamp,
    valid_to timestamp,
    source varchar not null
);

create table ingest_log (
    source varchar not null,
    loaded_at timestamp not null,
    spans bigint not null,
    duplicates bigint not null,
    refused bigint not null,
    dropped bigint not null,
    reason varchar
);

-- How far each source has been read, committed in the transaction that stores what was read.
create table source_positions (
    source varchar not null,
    identity varchar not null,
    position bigint not null,
    updated_at timestamp not null
);
