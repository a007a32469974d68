-- One row per migration that is made.
insert into migrations (version, name)
values (?, ?)
