-- One row per column of every public relation.
select
    columns.table_name as relation,
    columns.column_name,
    lower(columns.data_type) as data_type,
    columns.comment as column_comment,
    coalesce(tables.comment, views.comment) as relation_comment
from duckdb_columns() as columns
left join duckdb_tables() as tables
    on columns.table_oid = tables.table_oid and columns.database_oid = tables.database_oid
left join duckdb_views() as views
    on columns.table_oid = views.view_oid and columns.database_oid = views.database_oid
where
    not columns.internal
    and columns.schema_name = 'main'
    and columns.database_name = current_database()
    and coalesce(tables.comment, views.comment) is not null
    and columns.table_name not in ('context_evidence', 'migrations', 'source_positions', 'store_facts')
order by columns.table_name, columns.column_index
