-- name: take_lease$
-- Become the holder, under a new term, if nobody holds it; the term, or nothing. A lease that ends later than one lives was
-- written before the clock went back. The minute is for a renewal that waited less long for the row than we did.
insert into leases as l (name, owner, term, expires_at) values (:name, :owner, 1, cs_now() + :life::interval)
on conflict (name) do update set owner = excluded.owner, term = l.term + 1, expires_at = excluded.expires_at
where l.expires_at <= cs_now() or l.expires_at > cs_now() + :life::interval + interval '1 minute'
returning term;

-- name: renew_lease$
-- Prolong while the term is ours; nothing when somebody else has taken it.
update leases set expires_at = cs_now() + :life::interval
where name = :name and term = :term
returning true;

-- name: release_lease!
-- Let the next one lead at once.
update leases set owner = '', expires_at = '-infinity' where name = :name and term = :term;
