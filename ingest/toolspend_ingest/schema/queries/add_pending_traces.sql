-- One row per trace to derive later.
insert into pending_traces (trace_id)
select unnest(cast(? as varchar[]))
