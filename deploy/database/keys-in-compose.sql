-- For the postgres image's init scripts (psql): the keys database beside the main one, on the same server.
create database casestream_keys;
\connect casestream_keys
\i /keys.sql
