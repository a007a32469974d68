-- Whom a call's session was for, as its span says: a session may have calls and no request.
alter table seen_calls add column user_id varchar;
alter table seen_calls add column tags varchar[];
