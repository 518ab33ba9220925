-- name: resume_shards
-- What this owner held before its connections broke, under a new term.
update relay_shards set term = term + 1, expires_at = cs_now() + :lease::interval
where owner = :owner
returning shard, term, floor;

-- name: renew_shards
-- Prolong the leases whose term is still ours; a shard that is missing in the answer is lost.
update relay_shards r set expires_at = cs_now() + :lease::interval
from unnest(:shards::smallint[], :terms::bigint[]) as mine (shard, term)
where r.shard = mine.shard and r.term = mine.term
returning r.shard;

-- name: take_expired_shards
-- Take over at most so many shards whose lease has run out, each under a new term. A lease that ends later than any lease
-- lives (a minute at most) was written before the clock went back: its owner renews it within seconds, or is dead.
update relay_shards r set owner = :owner, term = term + 1, expires_at = cs_now() + :lease::interval
where r.shard in (
    select shard from relay_shards
    where expires_at <= cs_now() or expires_at > cs_now() + interval '2 minutes'
    order by shard limit :wanted for update skip locked)
returning r.shard, r.term, r.floor;

-- name: release_shards!
-- Give shards back at once instead of letting them expire.
update relay_shards r set owner = '', expires_at = '-infinity'
from unnest(:shards::smallint[], :terms::bigint[]) as mine (shard, term)
where r.shard = mine.shard and r.term = mine.term;

-- name: announce_relay!
-- Say that this relay lives, so that the others leave it its share.
insert into leases (name, owner, expires_at) values ('relay/' || :owner, :owner, cs_now() + :lease::interval)
on conflict (name) do update set expires_at = excluded.expires_at;

-- name: withdraw_relays!
-- This relay leaves; those that died long ago are forgotten with it.
delete from leases where name = 'relay/' || :owner or (name like 'relay/%' and expires_at < cs_now() - interval '1 hour');

-- name: count_live_relays$
-- Relays that announced themselves within the life of a lease; not those that did so before the clock went back.
select count(*) from leases
where name like 'relay/%' and expires_at > cs_now() and expires_at <= cs_now() + interval '2 minutes';
