-- One row per source identity: how far it has been read, in the transaction that stores what was read.
insert into source_positions (source, identity, position, updated_at)
values (?, ?, ?, ?)
