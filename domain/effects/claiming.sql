-- Run as cs_scan, across tenants. The cost of a search goes by the channels that have work, never by the rows that wait or are done.

-- name: try_to_claim_alone$
-- One worker at a time gives places away, so that limits hold exactly. Who finds it taken looks again soon.
select pg_try_advisory_xact_lock(hashtextextended('casestream.effects.claim', 0));

-- name: find_work^
-- Whether calls are due, and whether leases ran out: what idle workers ask. A lease that ends later than one lives was written
-- before the clock went back. The recursion hops from one channel's first entry in the index, its longest due, to the next channel's.
with recursive channel as (
    (select endpoint, tenant_id, due_at from effects where state = 'due' order by endpoint, tenant_id, due_at limit 1)
    union all
    select n.endpoint, n.tenant_id, n.due_at
    from channel l
    cross join lateral (
        select endpoint, tenant_id, due_at from effects
        where state = 'due' and (endpoint, tenant_id) > (l.endpoint, l.tenant_id)
        order by endpoint, tenant_id, due_at limit 1) n
)
select exists (select from channel l left join effect_channels c on c.tenant_id = l.tenant_id and c.endpoint = l.endpoint
               where l.due_at <= cs_now() and coalesce(c.open_until, '-infinity') <= cs_now()) as due,
       exists (select from effects where state = 'leased' and kind = any (:kinds::text[])
                 and (lease_expires_at <= cs_now()
                      or lease_expires_at > cs_now() + make_interval(secs => :life) + interval '1 minute')) as expired;

-- name: find_channels
-- Channels with calls of these kinds that are due and whose circuit is not open; each with its failures in a row, its tokens, and
-- how many wait, counted up to :most. And every channel with its calls in flight, those of all workers; due is 0 where none waits.
with recursive channel as (
    (select endpoint, tenant_id, due_at from effects where state = 'due' order by endpoint, tenant_id, due_at limit 1)
    union all
    select n.endpoint, n.tenant_id, n.due_at
    from channel l
    cross join lateral (
        select endpoint, tenant_id, due_at from effects
        where state = 'due' and (endpoint, tenant_id) > (l.endpoint, l.tenant_id)
        order by endpoint, tenant_id, due_at limit 1) n
), flying as materialized (
    select tenant_id, endpoint, count(*)::integer as calls from effects where state = 'leased' group by endpoint, tenant_id
), ready as materialized (
    select l.tenant_id, l.endpoint, w.due, extract(epoch from cs_now() - w.oldest)::double precision as oldest,
           coalesce(c.failures, 0) as failures,
           coalesce(c.tokens, 1e9) as tokens,
           coalesce(least(extract(epoch from cs_now() - c.refilled_at), 1e6), 0)::double precision as idle,
           coalesce(t.tokens, 1e9) as tenant_tokens,
           coalesce(least(extract(epoch from cs_now() - t.refilled_at), 1e6), 0)::double precision as tenant_idle
    from channel l
    left join effect_channels c on c.tenant_id = l.tenant_id and c.endpoint = l.endpoint
    left join effect_channels t on t.tenant_id = l.tenant_id and t.endpoint = ''
    cross join lateral (
        select count(*)::integer as due, min(due_at) as oldest
        from (select due_at from effects
              where state = 'due' and endpoint = l.endpoint and tenant_id = l.tenant_id and due_at <= cs_now()
                and kind = any (:kinds::text[])
              order by due_at limit :most) d) w
    where l.due_at <= cs_now() and coalesce(c.open_until, '-infinity') <= cs_now() and w.due > 0
)
select tenant_id, endpoint, coalesce(r.due, 0) as due, coalesce(f.calls, 0) as calls, r.oldest, r.failures, r.tokens, r.idle,
       r.tenant_tokens, r.tenant_idle
from ready r full join flying f using (tenant_id, endpoint);

-- name: claim_channels
-- Lease so many of each channel, the longest due first, and write down what the rates leave. Who cancels one of the effects at this
-- moment keeps it.
with spent as (
    insert into effect_channels as l (tenant_id, endpoint, tokens, refilled_at)
    select w.tenant_id, w.endpoint, w.tokens, cs_now()
    from unnest(:rated_tenant_ids::text[], :rated_endpoints::text[], :tokens::double precision[]) as w (tenant_id, endpoint, tokens)
    order by w.tenant_id, w.endpoint
    on conflict (tenant_id, endpoint) do update set tokens = excluded.tokens, refilled_at = excluded.refilled_at
), held as materialized (
    select h.tenant_id, h.effect_id
    from unnest(:tenant_ids::text[], :endpoints::text[], :calls::integer[]) as w (tenant_id, endpoint, calls)
    cross join lateral (
        select tenant_id, effect_id from effects
        where state = 'due' and endpoint = w.endpoint and tenant_id = w.tenant_id and due_at <= cs_now()
          and kind = any (:kinds::text[])
        order by due_at, seq limit w.calls for update skip locked) h
)
update effects e
set state = 'leased', attempt = e.attempt + 1, lease_owner = :owner, lease_term = e.lease_term + 1,
    lease_expires_at = cs_now() + make_interval(secs => :life)
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.tenant_id, e.effect_id, e.seq, e.owner_kind, e.owner_id, e.action_index, e.occurrence, e.kind, e.endpoint,
          e.order_key, e.subject_id, e.retries, e.delay_seconds, e.backoff, e.is_async, e.attempt, e.failures, e.lease_term;

-- name: claim_expired
-- Take over calls whose worker fell silent: the same call, under a new term. A lease that ends later than one lives was written
-- before the clock went back.
with held as materialized (
    select tenant_id, effect_id from effects
    where state = 'leased' and kind = any (:kinds::text[])
      and (lease_expires_at <= cs_now() or lease_expires_at > cs_now() + make_interval(secs => :life) + interval '1 minute')
    limit :most for update skip locked
)
update effects e
set attempt = e.attempt + 1, lease_owner = :owner, lease_term = e.lease_term + 1,
    lease_expires_at = cs_now() + make_interval(secs => :life)
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.tenant_id, e.effect_id, e.seq, e.owner_kind, e.owner_id, e.action_index, e.occurrence, e.kind, e.endpoint,
          e.order_key, e.subject_id, e.retries, e.delay_seconds, e.backoff, e.is_async, e.attempt, e.failures, e.lease_term;

-- name: renew_leases
-- Prolong the leases that are still the caller's; those whose outcome is being written need it no more.
with held as materialized (
    select h.tenant_id, h.effect_id
    from unnest(:tenant_ids::text[], :ids::uuid[], :terms::bigint[]) as w (tenant_id, effect_id, term)
    cross join lateral (
        select tenant_id, effect_id from effects
        where tenant_id = w.tenant_id and effect_id = w.effect_id and lease_term = w.term and state || '' = 'leased'
        for update skip locked) h
)
update effects e set lease_expires_at = cs_now() + make_interval(secs => :life)
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.tenant_id, e.effect_id;

-- name: release_leases!
-- Let others make these calls at once: their worker leaves before they were answered.
update effects e set lease_expires_at = '-infinity'
from unnest(:tenant_ids::text[], :ids::uuid[], :terms::bigint[]) as w (tenant_id, effect_id, term)
where e.tenant_id = w.tenant_id and e.effect_id = w.effect_id and e.lease_term = w.term and e.state || '' = 'leased'
  and e.tenant_id = any (:tenant_ids) and e.effect_id = any (:ids);

-- name: lock_circuit
-- A channel's failures in a row, locked; the row is made where there is none. New channels begin with all the tokens of their rate.
insert into effect_channels as l (tenant_id, endpoint, tokens, refilled_at) values (:tenant_id, :endpoint, 1e9, cs_now())
on conflict (tenant_id, endpoint) do update set failures = l.failures
returning failures;

-- name: save_circuit!
-- Failures in a row, and until when the circuit is open: 0 seconds is closed.
update effect_channels set failures = :failures, open_until = cs_now() + make_interval(secs => :open_seconds)
where tenant_id = :tenant_id and endpoint = :endpoint;

-- name: find_falling_due
-- Owners of what is due and was not called or performed yet: delayed effects, and internal kinds, whose endpoint is their kind.
select distinct tenant_id, owner_kind, owner_id
from ((select tenant_id, owner_kind, owner_id from effects
       where state = 'delayed' and due_at <= cs_now() order by due_at, seq limit :most)
      union all
      (select tenant_id, owner_kind, owner_id from effects
       where state = 'due' and endpoint = any (:internals::text[]) and due_at <= cs_now() and kind = any (:internals) limit :most)) found
order by tenant_id, owner_kind, owner_id;

-- name: measure_oldest_due$
-- Age of the longest due call in seconds, channel by channel from the index.
with recursive channel as (
    (select endpoint, tenant_id, due_at from effects where state = 'due' order by endpoint, tenant_id, due_at limit 1)
    union all
    select n.endpoint, n.tenant_id, n.due_at
    from channel l
    cross join lateral (
        select endpoint, tenant_id, due_at from effects
        where state = 'due' and (endpoint, tenant_id) > (l.endpoint, l.tenant_id)
        order by endpoint, tenant_id, due_at limit 1) n
)
select coalesce(extract(epoch from cs_now() - min(due_at)), 0)::double precision from channel where due_at <= cs_now();
