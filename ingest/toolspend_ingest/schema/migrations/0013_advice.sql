-- The tool of the provider's for which it asked a model within another request; null for requests of their own.
alter table llm_requests add column advising_tool varchar;
