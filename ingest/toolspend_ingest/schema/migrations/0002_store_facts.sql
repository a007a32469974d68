-- What the derived rows and the views were made with, so that a change of prices or rules is noticed on open.
create table store_facts (
    name varchar not null,
    value varchar not null
);
