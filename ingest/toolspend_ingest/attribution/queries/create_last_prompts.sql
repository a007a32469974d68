-- One row per prompt among the last of a session, by its number.
create or replace temp table attributed_prompts as
select *
from last_prompts
