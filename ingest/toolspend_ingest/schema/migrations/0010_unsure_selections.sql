-- Whether a selection says that a needed tool may be missing.
alter table tool_selections add column is_unsure boolean;
