-- One row per position to which a source was read, with what made it the same then; the furthest first.
select
    identity,
    position
from source_positions
where source = ?
order by position desc
