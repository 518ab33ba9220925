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
