-- One row per thing of this name that the store notes of itself, at most one.
select value
from store_facts
where name = ?
