-- One row per session that goes on: what each token was billed that it sent again since it was attributed whole.
insert into session_carries (requests, usd_per_token, session_id)
values (?, ?, ?)
