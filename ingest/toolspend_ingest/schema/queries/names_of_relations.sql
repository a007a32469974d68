-- One row per table or view of the file, whatever its schema.
select table_name as name
from duckdb_tables()
union
select view_name as name
from duckdb_views()
where not internal
