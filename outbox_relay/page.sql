-- name: fetch_page
-- The first rows above each shard's floor, in id order: one row of arrays per shard, which costs the client and the server
-- half of what row by row does. Large ones come without their bytes, and `sizes` has their sizes, so that a page of the
-- largest events cannot fill the memory.
select held.shard, o.ids, o.topics, o.keys, o.headers, o.payloads, o.sizes
from unnest(:shards::smallint[], :floors::bigint[]) as held (shard, floor)
cross join lateral (
    select array_agg(e.id order by e.id) as ids, array_agg(e.topic order by e.id) as topics,
           array_agg(e.key order by e.id) as keys, array_agg(e.headers order by e.id) as headers,
           array_agg(e.payload order by e.id) as payloads, array_agg(e.size order by e.id) filter (where e.large) as sizes
    from (
        select e.id, e.topic, e.key, s.size, s.size > :inline_bytes::integer as large,
               case when s.size <= :inline_bytes::integer then e.headers end as headers,
               case when s.size <= :inline_bytes::integer then e.payload end as payload
        from outbox_events e
        cross join lateral (select octet_length(e.headers) + coalesce(octet_length(e.payload), 0) as size) s
        where e.shard = held.shard and e.id > held.floor and e.topic <> all (:held_topics::text[])
        order by e.id
        limit :per_shard) e) o
where o.ids is not null;

-- name: fetch_large
-- The bytes that fetch_page left out.
select id, headers, payload from outbox_events where shard = any (:shards::smallint[]) and id = any (:ids::bigint[]);

-- name: delete_rows^
-- Remove published rows of the shards whose term is still ours, and say which those are. The lock on the lease row makes
-- a takeover wait for this statement, and this statement see a takeover.
with held as materialized (
    select r.shard
    from relay_shards r
    join unnest(:shards::smallint[], :terms::bigint[]) as mine (shard, term) on mine.shard = r.shard and mine.term = r.term
    for no key update of r),
gone as (
    delete from outbox_events
    where shard = any (array(select shard from held)) and id = any (:ids::bigint[]))
select coalesce(array_agg(shard), '{}') as shards from held;

-- name: raise_floors
-- Commit new floors; only these are used. An old term moves nothing.
update relay_shards r set floor = raised.floor
from unnest(:shards::smallint[], :terms::bigint[], :floors::bigint[]) as raised (shard, term, floor)
where r.shard = raised.shard and r.term = raised.term and r.floor < raised.floor
returning r.shard, r.floor;

-- name: prepare_lane^
-- For this connection. Reach rows by index only: the outbox is empty most of the time; a plan made then would read and sort
-- the whole table at every poll, and a prepared statement keeps its plan when the backlog comes. And do not wait for the
-- disk: a delete that a crash takes back sends its rows once more, a floor that it takes back is lower, and either way
-- the crash ends this connection and everything that was believed on it.
select set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
       set_config('synchronous_commit', 'off', false);
