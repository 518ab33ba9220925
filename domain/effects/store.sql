-- Arrays are parallel: one entry per effect or key. Every statement over several rows goes from the keys to the rows, one by
-- one and in one order: before the first analysis the planner would read a tenant's whole table, and without an order two
-- transactions that meet on two rows would wait for each other. A state behind `|| ''` keeps the indexes of states from offering
-- themselves for look-ups by key, a tenant behind `|| ''` the primary key for look-ups by owner; `any (array(...))` keeps an
-- update from reading a tenant's rows to find the few that it wants.

-- name: draw_positions
-- Lock the counters of these keys, in order, and draw so many numbers from each; the last number drawn.
insert into effect_order_keys as k (tenant_id, order_key, last_position)
select w.tenant_id, w.order_key, w.wanted
from unnest(:tenant_ids::text[], :order_keys::text[], :wanted::bigint[]) as w (tenant_id, order_key, wanted)
order by w.tenant_id, w.order_key
on conflict (tenant_id, order_key) do update
set last_position = k.last_position + excluded.last_position, used_at = cs_now()
returning tenant_id, order_key, last_position;

-- name: insert_effects
-- New effects, in array order; the ids of those that were not there yet. What is due with a position is queued where somebody stands
-- in its line: asked under the lock of its key, in a statement whose snapshot is younger than the lock.
insert into effects
    (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, request, order_key, position,
     subject_id, retries, delay_seconds, backoff, is_async, state, due_at)
select n.tenant_id, n.effect_id, n.owner_kind, n.owner_id, n.action_index, n.occurrence, n.kind, n.endpoint, n.request,
       n.order_key, n.position, n.subject_id, n.retries, n.delay_seconds, n.backoff, n.is_async,
       case when n.state = 'due' and n.position is not null and exists (
                select from effects b
                where b.tenant_id = n.tenant_id and b.order_key = n.order_key and b.position is not null)
            then 'queued' else n.state end,
       cs_now() + make_interval(secs => n.wait)
from unnest(:tenant_ids::text[], :ids::uuid[], :owner_kinds::text[], :owner_ids::text[], :indexes::integer[],
            :occurrences::text[], :kinds::text[], :endpoints::text[], :requests::bytea[], :order_keys::text[],
            :positions::bigint[], :subject_ids::text[], :retries::integer[], :delays::double precision[], :backoffs::text[],
            :are_async::boolean[], :states::text[], :waits::double precision[])
     with ordinality as n (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, request,
                           order_key, position, subject_id, retries, delay_seconds, backoff, is_async, state, wait, place)
order by n.place
on conflict (tenant_id, effect_id) do nothing
returning effect_id;

-- name: promote_effects
-- From waiting to delayed: due after so many seconds. The ids that were waiting.
with held as materialized (
    select w.tenant_id, w.effect_id, w.wait
    from (select * from unnest(:tenant_ids::text[], :ids::uuid[], :waits::double precision[])
              as t (tenant_id, effect_id, wait) order by tenant_id, effect_id) w
    cross join lateral (select from effects h where h.tenant_id = w.tenant_id and h.effect_id = w.effect_id
                          and h.state || '' = 'waiting' for update) h
)
update effects e set state = 'delayed', due_at = cs_now() + make_interval(secs => held.wait)
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.effect_id;

-- name: skip_effects
-- From waiting to skipped; those that were waiting.
with held as materialized (
    select w.tenant_id, w.effect_id
    from (select * from unnest(:tenant_ids::text[], :ids::uuid[]) as t (tenant_id, effect_id)
          order by tenant_id, effect_id) w
    cross join lateral (select from effects h where h.tenant_id = w.tenant_id and h.effect_id = w.effect_id
                          and h.state || '' = 'waiting' for update) h
)
update effects e set state = 'skipped', code = :code, finished_at = cs_now()
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.tenant_id, e.effect_id, e.owner_kind, e.owner_id, e.action_index, e.occurrence, e.order_key;

-- name: list_keys_of_owners
-- The order keys in which unclaimed effects of these owners stand, or will stand.
select distinct e.tenant_id, e.order_key
from unnest(:tenant_ids::text[], :owner_kinds::text[], :owner_ids::text[]) as o (tenant_id, owner_kind, owner_id)
cross join lateral (
    select tenant_id, order_key from effects
    where tenant_id || '' = o.tenant_id and owner_kind = o.owner_kind and owner_id = o.owner_id
      and finished_at is null and state <> 'leased' and order_key is not null offset 0) e;

-- name: cancel_effects
-- What of these owners nobody has claimed is canceled, if it stands in no line but those that are locked.
with held as materialized (
    select h.tenant_id, h.effect_id
    from (select * from unnest(:tenant_ids::text[], :owner_kinds::text[], :owner_ids::text[])
              as t (tenant_id, owner_kind, owner_id) order by tenant_id, owner_kind, owner_id) o
    cross join lateral (
        select tenant_id, effect_id from effects
        where tenant_id || '' = o.tenant_id and owner_kind = o.owner_kind and owner_id = o.owner_id
          and finished_at is null and state <> 'leased'
          and (order_key is null or (tenant_id, order_key) in
               (select * from unnest(:key_tenant_ids::text[], :order_keys::text[])))
        order by effect_id for update) h
)
update effects e set state = 'canceled', code = :code, finished_at = cs_now(), position = null
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.tenant_id, e.effect_id, e.owner_kind, e.owner_id, e.action_index, e.occurrence, e.order_key;

-- name: cancel_unclaimed
-- What of these nobody has claimed is canceled. Who records an outcome holds the effect and waits for the owner, which the caller
-- holds: so nothing is waited for here.
with held as materialized (
    select h.tenant_id, h.effect_id
    from unnest(:tenant_ids::text[], :ids::uuid[]) as w (tenant_id, effect_id)
    cross join lateral (
        select tenant_id, effect_id from effects
        where tenant_id = w.tenant_id and effect_id = w.effect_id and finished_at is null and state || '' <> 'leased'
          and order_key is null
        for update skip locked) h
)
update effects e set state = 'canceled', code = :code, finished_at = cs_now()
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.tenant_id, e.effect_id, e.owner_kind, e.owner_id, e.action_index, e.occurrence;

-- name: take_next
-- What falls due at once behind outcomes that are being recorded, for whoever records them: no look, no second transaction. Only
-- effects without an order key, and of kinds whose calls need no allotment.
with held as materialized (
    select h.tenant_id, h.effect_id
    from (select * from unnest(:tenant_ids::text[], :owner_kinds::text[], :owner_ids::text[])
              as t (tenant_id, owner_kind, owner_id) order by tenant_id, owner_kind, owner_id) o
    cross join lateral (
        select tenant_id, effect_id from effects
        where tenant_id || '' = o.tenant_id and owner_kind = o.owner_kind and owner_id = o.owner_id
          and finished_at is null and state || '' = 'due' and due_at <= cs_now() and order_key is null
          and kind = any (:kinds::text[])
        order by effect_id for update skip locked) h
    limit :most
)
update effects e
set state = 'leased', attempt = e.attempt + 1, lease_owner = :owner, lease_term = e.lease_term + 1,
    lease_expires_at = cs_now() + make_interval(secs => :life)
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.tenant_id, e.effect_id, e.seq, e.owner_kind, e.owner_id, e.action_index, e.occurrence, e.kind, e.endpoint,
          e.order_key, e.subject_id, e.retries, e.delay_seconds, e.backoff, e.is_async, e.attempt, e.failures, e.lease_term,
          e.request;

-- name: finish_effects
-- Outcomes of calls, of those that are still leased under the caller's term; whoever lost its lease gets no row.
with held as materialized (
    select w.tenant_id, w.effect_id, w.result, w.code, w.fingerprint, w.detail, w.failed
    from (select * from unnest(:tenant_ids::text[], :ids::uuid[], :terms::bigint[], :results::text[], :codes::text[],
                               :fingerprints::text[], :details::bytea[], :failed::boolean[])
              as t (tenant_id, effect_id, term, result, code, fingerprint, detail, failed)
          order by tenant_id, effect_id) w
    cross join lateral (select from effects h where h.tenant_id = w.tenant_id and h.effect_id = w.effect_id
                          and h.lease_term = w.term and h.state || '' = 'leased' for update) h
)
update effects e
set state = held.result, code = held.code, fingerprint = held.fingerprint, detail = held.detail,
    failures = e.failures + held.failed::integer, finished_at = cs_now(), lease_owner = '', position = null
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.tenant_id, e.effect_id, e.order_key;

-- name: postpone_effects
-- Calls that are made again later, under the same fence; each keeps its position.
with held as materialized (
    select w.tenant_id, w.effect_id, w.wait, w.code
    from (select * from unnest(:tenant_ids::text[], :ids::uuid[], :terms::bigint[], :waits::double precision[], :codes::text[])
              as t (tenant_id, effect_id, term, wait, code) order by tenant_id, effect_id) w
    cross join lateral (select from effects h where h.tenant_id = w.tenant_id and h.effect_id = w.effect_id
                          and h.lease_term = w.term and h.state || '' = 'leased' for update) h
)
update effects e
set state = 'due', due_at = cs_now() + make_interval(secs => held.wait), failures = e.failures + 1, code = held.code,
    lease_owner = ''
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.effect_id;

-- name: take_internal
-- What of these owners is due and needs no network, locked: without an order key as soon as it is due, else at its head.
select e.*
from (select * from unnest(:tenant_ids::text[], :owner_kinds::text[], :owner_ids::text[])
          as t (tenant_id, owner_kind, owner_id) order by tenant_id, owner_kind, owner_id) o
cross join lateral (
    select tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, request, order_key, endpoint,
           subject_id, retries, delay_seconds, backoff, is_async, attempt, failures, lease_term, seq
    from effects
    where tenant_id || '' = o.tenant_id and owner_kind = o.owner_kind and owner_id = o.owner_id
      and finished_at is null and state || '' in ('due', 'delayed') and due_at <= cs_now() and kind = any (:kinds::text[])
      and (state = 'due' or order_key is null)
    order by effect_id for update) e;

-- name: find_unfinished
-- What these owners have of a kind that has not ended.
select e.*
from unnest(:tenant_ids::text[], :owner_kinds::text[], :owner_ids::text[]) as o (tenant_id, owner_kind, owner_id)
cross join lateral (
    select tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, request, order_key, endpoint,
           subject_id, retries, delay_seconds, backoff, is_async, attempt, failures, lease_term
    from effects
    where tenant_id || '' = o.tenant_id and owner_kind = o.owner_kind and owner_id = o.owner_id
      and finished_at is null and kind = :kind
    offset 0) e;

-- name: finish_internal
-- Outcomes of what was performed in this transaction, which holds the rows.
update effects e
set state = o.result, code = o.code, fingerprint = o.fingerprint, detail = o.detail, attempt = e.attempt + 1,
    finished_at = cs_now(), position = null
from unnest(:tenant_ids::text[], :ids::uuid[], :results::text[], :codes::text[], :fingerprints::text[], :details::bytea[])
     as o (tenant_id, effect_id, result, code, fingerprint, detail)
where e.tenant_id = o.tenant_id and e.effect_id = o.effect_id
  and e.tenant_id = any (:tenant_ids) and e.effect_id = any (:ids)
returning e.tenant_id, e.effect_id, e.order_key;

-- name: fall_due_without_key!
-- What of these owners is due and stands in no line.
with held as materialized (
    select h.tenant_id, h.effect_id
    from (select * from unnest(:tenant_ids::text[], :owner_kinds::text[], :owner_ids::text[])
              as t (tenant_id, owner_kind, owner_id) order by tenant_id, owner_kind, owner_id) o
    cross join lateral (
        select tenant_id, effect_id from effects
        where tenant_id || '' = o.tenant_id and owner_kind = o.owner_kind and owner_id = o.owner_id
          and finished_at is null and state || '' = 'delayed' and due_at <= cs_now() and order_key is null order by effect_id for update) h
)
update effects e set state = 'due'
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held));

-- name: find_due
-- What of these owners can be performed or must go on now; what is already due and needs the network waits for its worker.
select e.*
from unnest(:tenant_ids::text[], :owner_kinds::text[], :owner_ids::text[]) as o (tenant_id, owner_kind, owner_id)
cross join lateral (
    select tenant_id, order_key, state, kind = any (:internals::text[]) and (state = 'due' or order_key is null) as internal
    from effects
    where tenant_id || '' = o.tenant_id and owner_kind = o.owner_kind and owner_id = o.owner_id
      and finished_at is null and due_at <= cs_now()
      and (state || '' = 'delayed' or state || '' = 'due' and kind = any (:internals::text[])) offset 0) e;

-- name: hand_over
-- The smallest position of each of these locked keys may be called now, if nobody else of the key may.
with held as materialized (
    select w.tenant_id, head.effect_id
    from unnest(:tenant_ids::text[], :order_keys::text[]) as w (tenant_id, order_key)
    cross join lateral (
        select effect_id, state from effects
        where tenant_id = w.tenant_id and order_key = w.order_key and position is not null
        order by position limit 1) head
    where head.state = 'queued'
)
update effects e set state = 'due'
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.kind;

-- name: fall_due_in_line
-- Everything of these locked keys that is due gets its positions, in the order in which it fell due; the first of an empty
-- line may be called at once.
with ready as materialized (
    select w.tenant_id, w.order_key, e.effect_id,
           row_number() over (partition by w.tenant_id, w.order_key order by e.due_at, e.seq) as number
    from unnest(:tenant_ids::text[], :order_keys::text[]) as w (tenant_id, order_key)
    cross join lateral (
        select effect_id, due_at, seq from effects
        where tenant_id = w.tenant_id and order_key = w.order_key and state = 'delayed' and due_at <= cs_now()
        order by due_at, seq limit :most) e
), drawn as (
    update effect_order_keys k set last_position = k.last_position + r.count
    from (select tenant_id, order_key, count(*) from ready group by 1, 2) r
    where k.tenant_id = r.tenant_id and k.order_key = r.order_key
    returning k.tenant_id, k.order_key, k.last_position - r.count as before,
              exists (select from effects b where b.tenant_id = k.tenant_id and b.order_key = k.order_key
                        and b.position is not null) as busy
)
update effects e
set position = d.before + r.number, state = case when d.busy or r.number > 1 then 'queued' else 'due' end
from ready r join drawn d using (tenant_id, order_key)
where e.tenant_id = r.tenant_id and e.effect_id = r.effect_id
  and e.tenant_id = any (array(select tenant_id from ready)) and e.effect_id = any (array(select effect_id from ready))
returning e.kind;

-- name: read_clock$
select cs_now();

-- name: read_effect^
-- One effect as its holder has it, without its request.
select tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, order_key, endpoint, subject_id, retries,
       delay_seconds, backoff, is_async, attempt, failures, lease_term
from effects where tenant_id = :tenant_id and effect_id = :effect_id;

-- name: find_fates
-- What became of a tenant's effects, of those of them that there are.
select tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, state, code, detail, finished_at is not null as ended
from effects where tenant_id = :tenant_id and effect_id = any (:ids::uuid[]);
