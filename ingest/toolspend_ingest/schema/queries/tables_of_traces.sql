-- One row per table whose rows belong to a trace.
select columns.table_name
from duckdb_columns() as columns
inner join duckdb_tables() as tables on columns.table_name = tables.table_name
where columns.column_name = 'trace_id' and not columns.internal and not tables.temporary
group by columns.table_name
order by columns.table_name
