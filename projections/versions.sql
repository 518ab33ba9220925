-- name: create_table_version$
-- True when the version was not there.
select create_table_version(:table_name, :version);
