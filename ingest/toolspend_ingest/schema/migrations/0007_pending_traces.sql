-- Traces with spans that were stored, and of which what follows is still to be made; a trace may be here twice.
create table pending_traces (
    trace_id varchar not null
);
