-- What the provider took out of a prompt, as its response says.
alter table context_evidence add column applied_edits json;
