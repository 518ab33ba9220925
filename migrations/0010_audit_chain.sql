-- Follows.
select 1;
