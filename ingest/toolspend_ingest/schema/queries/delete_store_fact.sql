-- One row per thing of this name that the store notes of itself, at most one.
delete from store_facts
where name = ?
