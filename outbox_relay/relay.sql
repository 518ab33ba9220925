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
-- Back to 0 where a floor lies above every id drawn so far: the sequence was reset, or the database restored.
update relay_shards set floor = 0
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

-- name: list_shards
-- What `casestream relay status` shows.
select r.shard, r.owner, r.term, r.floor,
       greatest(extract(epoch from r.expires_at - cs_now()), 0)::float8 as lease_seconds,
       counted.rows as unsent,
       extract(epoch from cs_now() - first.created_at)::float8 as oldest_seconds
from (select shard, owner, term, floor,
             case when isfinite(expires_at) then expires_at else cs_now() end as expires_at from relay_shards) r
cross join lateral (
    select count(*) as rows
    from (select from outbox_events e where e.shard = r.shard and e.id > r.floor limit :bound) bounded) counted
left join lateral (
    select e.created_at from outbox_events e where e.shard = r.shard and e.id > r.floor order by e.id limit 1) first on true
order by r.shard;

-- name: find_rows_below_floor
-- Rows that no poll will ever see: always none, unless the sequence was reset or the database restored.
select e.shard, count(*) as rows from outbox_events e join relay_shards r on r.shard = e.shard
where e.id <= r.floor group by e.shard order by e.shard;

-- name: reset_floors
-- Every floor to 0. Safe at any time: a low floor costs time, never an event. The terms rise, so that a running relay
-- notices, reads its floors again and does not put the old ones back.
update relay_shards set floor = 0, term = term + 1, expires_at = '-infinity', owner = '' returning shard;
