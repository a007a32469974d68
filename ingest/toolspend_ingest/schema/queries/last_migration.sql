-- One row per store: the version of its schema, null where no migration was made.
select max(version) as version
from migrations
