-- name: arm_timers
-- Arm, in one order; an armed one moves. A timer of an older entry, or of an entry whose timer has ended already, changes nothing.
insert into timers as t (tenant_id, timer_key, kind, due_at, command, entry, subject_id)
select n.tenant_id, n.timer_key, n.kind, n.due_at, n.command::jsonb, n.entry, n.subject_id
from unnest(:tenant_ids::text[], :keys::text[], :kinds::text[], :dues::timestamptz[], :commands::text[], :entries::bigint[],
            :subject_ids::text[]) as n (tenant_id, timer_key, kind, due_at, command, entry, subject_id)
order by n.tenant_id, n.timer_key
on conflict (tenant_id, timer_key) do update
set kind = excluded.kind, due_at = excluded.due_at, command = excluded.command, entry = excluded.entry,
    subject_id = excluded.subject_id, state = 'armed', armed_at = cs_now(), ended_at = null
where t.entry < excluded.entry or (t.entry = excluded.entry and t.state = 'armed')
returning timer_key;

-- name: disarm_timers
-- Armed ones will not fire, but for those of the same or a later entry; the keys of those that were armed.
with held as materialized (
    select w.tenant_id, w.timer_key, w.entry
    from (select * from unnest(:tenant_ids::text[], :keys::text[], :entries::bigint[]) as k (tenant_id, timer_key, entry)
          order by tenant_id, timer_key) w
    cross join lateral (select from timers h where h.tenant_id = w.tenant_id and h.timer_key = w.timer_key
                          and h.state = 'armed' and (w.entry is null or h.entry < w.entry) for update) h
)
update timers t set state = 'canceled', ended_at = cs_now(), entry = greatest(t.entry, held.entry)
from held
where t.tenant_id = held.tenant_id and t.timer_key = held.timer_key
  and t.tenant_id = any (array(select tenant_id from held)) and t.timer_key = any (array(select timer_key from held))
returning t.timer_key;

-- name: find_armed_timer^
select tenant_id, timer_key, kind, due_at, command::text as command, entry, subject_id
from timers
where tenant_id = :tenant_id and timer_key = :key and state = 'armed';

-- name: hold_armed_timer^
select tenant_id, timer_key, kind, due_at, command::text as command, entry, subject_id
from timers
where tenant_id = :tenant_id and timer_key = :key and state = 'armed' for update skip locked;

-- name: find_tenants_with_due_timers$
-- Run as cs_scan: hops from one tenant's first armed timer in the index to the next tenant's.
with recursive first as (
    (select tenant_id, due_at from timers where state = 'armed' order by tenant_id, due_at limit 1)
    union all
    select n.tenant_id, n.due_at
    from first f
    cross join lateral (
        select tenant_id, due_at from timers
        where state = 'armed' and tenant_id > f.tenant_id order by tenant_id, due_at limit 1) n
)
select coalesce(array_agg(tenant_id), '{}') from first where due_at <= cs_now();

-- name: take_due_timers
-- A tenant's due timers of these kinds, locked; those that another scheduler holds are its own.
select tenant_id, timer_key, kind, due_at, command::text as command, entry, subject_id, cs_now() as now
from timers
where tenant_id = :tenant_id and state = 'armed' and due_at <= cs_now() and kind = any (:kinds::text[])
order by due_at, timer_key limit :most for update skip locked;

-- name: end_timers!
-- What became of timers that this transaction holds: ended, or armed for a later time.
update timers t
set state = case when e.next_due is null then e.state else 'armed' end,
    ended_at = case when e.next_due is null then cs_now() end,
    due_at = coalesce(e.next_due, t.due_at), command = coalesce(e.command::jsonb, t.command)
from unnest(:keys::text[], :states::text[], :next_dues::timestamptz[], :commands::text[])
     as e (timer_key, state, next_due, command)
where t.tenant_id = :tenant_id and t.timer_key = e.timer_key and t.timer_key = any (:keys);

-- name: delete_timers!
-- A batch of a subject's timers.
delete from timers
where ctid in (select ctid from timers where tenant_id = :tenant_id and subject_id = :subject_id limit :most);

-- name: delete_ended_timers!
-- A batch of timers that ended long ago, for the connection's tenants, while the lease holds.
delete from timers
where ctid in (select ctid from timers
               where tenant_id = any (app_tenants()) and state <> 'armed' and ended_at <= cs_now() - :age::interval limit :most)
  and exists (select from leases where name = :lease and term = :term and expires_at > cs_now());

-- name: find_standing_timers
-- Of these timers those that are armed, or fired so recently that what they ordered may be on its way.
select timer_key from timers
where tenant_id = :tenant_id and timer_key = any (:keys::text[])
  and (state = 'armed' or (state in ('fired', 'outdated') and ended_at > cs_now() - :grace::interval));
