-- One row per source of this identity that was read to this position, whatever it was called.
select 1 as is_read
from source_positions
where identity = ? and position = ?
