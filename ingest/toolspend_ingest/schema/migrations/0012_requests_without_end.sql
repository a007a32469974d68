-- A request whose end cannot be, or that only a log record tells of, has no duration.
alter table llm_requests alter column duration_ms drop not null;
