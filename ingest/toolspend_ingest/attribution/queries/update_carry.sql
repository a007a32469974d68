-- One row per session that goes on: what each token was billed that it sent again since it was attributed whole.
update session_carries
set
    requests = ?,
    usd_per_token = ?
where session_id = ?
