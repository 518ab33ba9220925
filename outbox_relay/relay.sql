-- name: find_sequence^
-- How the ids of the outbox are drawn.
select s.seqcache as cache, s.seqincrement as increment, s.seqcycle as cycles
from pg_sequence s
where s.seqrelid = pg_get_serial_sequence('outbox_events', 'id')::regclass;

-- name: read_last_value$
-- S of step 5: the highest id drawn so far; 0 before the first, which would otherwise lie below its own floor.
select case when is_called then last_value else 0 end from outbox_events_id_seq;

-- name: draw_transaction_id$
-- X of step 5: above every transaction id assigned so far.
select pg_current_xact_id()::text::bigint;

-- name: read_xmin$
-- Every transaction below it has ended.
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- name: lower_floors
-- Back to 0 where a floor lies above every id drawn so far: the sequence was reset, or the database restored. The terms rise,
-- so that whoever holds such a shard loses it and forgets the floor, too.
update relay_shards set floor = 0, term = term + 1, owner = '', expires_at = '-infinity'
where floor > (select case when is_called then last_value else 0 end from outbox_events_id_seq)
returning shard;

-- name: measure_backlog^
-- Unsent rows of some shards, counted up to a bound, and the age in seconds of the oldest.
select coalesce(sum(counted.rows), 0)::bigint as unsent,
       coalesce(extract(epoch from cs_now() - min(first.created_at)), 0)::float8 as oldest_seconds
from relay_shards r
cross join lateral (
    select count(*) as rows
    from (select from outbox_events e where e.shard = r.shard and e.id > r.floor limit :bound) bounded) counted
left join lateral (
    select e.created_at from outbox_events e where e.shard = r.shard and e.id > r.floor order by e.id limit 1) first on true
where r.shard = any (:shards::smallint[]);
