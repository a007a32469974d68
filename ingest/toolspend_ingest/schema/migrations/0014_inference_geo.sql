-- Where the provider ran the model, if that has a price of its own.
alter table llm_requests add column inference_geo varchar;
