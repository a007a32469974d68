-- One row per thing that the store notes of itself.
insert into store_facts (name, value)
values (?, ?)
