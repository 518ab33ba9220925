-- name: list_effects
-- Effects by state, newest first; failed ones by fingerprint. Null filters match everything. What an effect says is not shown.
select tenant_id, effect_id, owner_kind, owner_id, action_index, kind, endpoint, state, code, fingerprint, attempt, due_at,
       created_at, finished_at
from effects
where state = any (:states::text[])
  and (:tenant_id::text is null or tenant_id = :tenant_id)
  and (:fingerprint::text is null or fingerprint = :fingerprint)
  and (:owner_id::text is null or owner_id = :owner_id)
order by created_at desc, effect_id
limit :most;

-- name: find_effect^
-- One effect, without what it says.
select tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, order_key, position, subject_id,
       retries, delay_seconds, backoff, is_async, state, due_at, attempt, failures, lease_owner, lease_expires_at, code,
       fingerprint, created_at, finished_at
from effects
where effect_id = :effect_id and (:tenant_id::text is null or tenant_id = :tenant_id);

-- name: list_failed
-- Failed effects of a tenant with this fingerprint, the longest failed first, emptied ones last.
select tenant_id, effect_id from effects
where state = 'failed' and fingerprint = :fingerprint and tenant_id = :tenant_id and finished_at <= :before
order by is_emptied, finished_at, effect_id limit :most;

-- name: retry_effects
-- Failed ones begin anew under the same ids: due at once, at the end of their lines, with all their retries. Each that was named,
-- whether it is ordered, and its state before. Emptied ones have nothing left to say.
with named as (
    select n.tenant_id, n.effect_id, h.state, h.finished_at, h.emptied
    from (select * from unnest(:tenant_ids::text[], :ids::uuid[]) as t (tenant_id, effect_id)
          order by tenant_id, effect_id) n
    left join lateral (select state, finished_at, is_emptied as emptied from effects f
                       where f.tenant_id = n.tenant_id and f.effect_id = n.effect_id for update) h on true
), ordered as (
    update effects e
    set state = 'delayed', due_at = cs_now(), failures = 0, attempt = 0, finished_at = null, position = null
    from named n
    where e.tenant_id = n.tenant_id and e.effect_id = n.effect_id and n.state = 'failed' and not n.emptied
      and e.tenant_id = any (:tenant_ids) and e.effect_id = any (:ids)
    returning e.tenant_id, e.effect_id
)
select n.tenant_id, n.effect_id, n.state, coalesce(n.emptied, false) as emptied, o.effect_id is not null as ordered
from named n left join ordered o on o.tenant_id = n.tenant_id and o.effect_id = n.effect_id;

-- name: cancel_named
-- These effects are canceled if nobody has claimed them. Their owners and lines are locked.
with held as materialized (
    select w.tenant_id, w.effect_id
    from (select * from unnest(:tenant_ids::text[], :ids::uuid[]) as t (tenant_id, effect_id)
          order by tenant_id, effect_id) w
    cross join lateral (select from effects h where h.tenant_id = w.tenant_id and h.effect_id = w.effect_id
                          and h.state || '' in ('waiting', 'delayed', 'queued', 'due') for update) h
)
update effects e set state = 'canceled', code = 'canceled', finished_at = cs_now(), position = null
from held
where e.tenant_id = held.tenant_id and e.effect_id = held.effect_id
  and e.tenant_id = any (array(select tenant_id from held)) and e.effect_id = any (array(select effect_id from held))
returning e.tenant_id, e.effect_id, e.owner_kind, e.owner_id, e.action_index, e.order_key;

-- name: empty_subjects_effects!
-- A batch of a subject's effects loses what it says.
update effects set request = null, detail = null
where ctid in (select ctid from effects
               where tenant_id = :tenant_id and subject_id = :subject_id and (request is not null or detail is not null)
               limit :most for update);

-- name: empty_finished_effects!
-- A batch of effects that ended long ago loses what it says, for the connection's tenants, while the lease holds. Failed ones
-- keep it four times as long: somebody may want to try them again.
update effects set request = null, detail = null
where ctid in (select ctid from effects
               where tenant_id = any (app_tenants()) and (request is not null or detail is not null)
                 and finished_at <= cs_now() - :age::interval
                 and finished_at <= cs_now() - :age::interval * case state when 'failed' then 4 else 1 end limit :most)
  and exists (select from leases where name = :lease and term = :term and expires_at > cs_now());

-- name: delete_idle_order_keys!
-- A batch of counters that nobody used for a day and in whose lines nobody stands, while the lease holds: a counter that begins
-- anew matters to nobody. Who draws from one at this moment has moved its used_at, which is looked at once more.
delete from effect_order_keys k
where k.ctid in (select o.ctid from effect_order_keys o
                 where o.tenant_id = any (app_tenants()) and o.used_at <= cs_now() - interval '1 day'
                   and not exists (select from effects e
                                   where e.tenant_id = o.tenant_id and e.order_key = o.order_key and e.position is not null) limit :most)
  and k.used_at <= cs_now() - interval '1 day'
  and exists (select from leases where name = :lease and term = :term and expires_at > cs_now());
