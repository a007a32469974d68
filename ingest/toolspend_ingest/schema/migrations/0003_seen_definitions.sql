-- What a definition costs follows from the ledger: it is asked there, not kept beside it.
alter table tool_definitions rename to seen_definitions;
alter table seen_definitions drop column definition_tokens;
