-- One row per migration that the store has had.
create table if not exists migrations (
    version integer not null,
    name varchar not null
)
