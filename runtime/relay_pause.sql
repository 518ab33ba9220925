-- name: take_all_shards
-- Become the owner of every shard under new terms: whoever relayed them deletes nothing any more and moves no floor.
update relay_shards r
set owner = :owner, term = r.term + 1, expires_at = cs_now() + :lease::interval
from (select shard from relay_shards order by shard for update) as held
where r.shard = held.shard
returning r.shard, r.term;

-- name: keep_shards$
-- Prolong what is still ours; answers how many that are.
with kept as (
    update relay_shards r set expires_at = cs_now() + :lease::interval
    from unnest(:shards::smallint[], :terms::bigint[]) as mine (shard, term)
    where r.shard = mine.shard and r.term = mine.term
    returning r.shard)
select count(*) from kept;

-- name: give_back_shards!
-- Any relay may take them at once.
update relay_shards r set owner = '', expires_at = '-infinity'
from unnest(:shards::smallint[], :terms::bigint[]) as mine (shard, term)
where r.shard = mine.shard and r.term = mine.term;
