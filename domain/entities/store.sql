-- name: find_subjects
-- Whose the wanted entities are, without a lock: it is asked before anything is locked.
select w.tenant_id, w.entity_type, w.entity_id, e.subject_id
from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[]) as w (tenant_id, entity_type, entity_id)
cross join lateral (
    select s.subject_id from entity_state s
    where s.tenant_id = w.tenant_id and s.entity_type = w.entity_type and s.entity_id = w.entity_id
    offset 0) e;

-- name: find_entities
-- The wanted entities that exist, without a lock.
select e.tenant_id, e.entity_type, e.entity_id, e.entity_values, e.removed, e.version, e.event_sequence, e.subject_id,
       e.created_at, e.changed_at
from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[]) as w (tenant_id, entity_type, entity_id)
cross join lateral (
    select * from entity_state s
    where s.tenant_id = w.tenant_id and s.entity_type = w.entity_type and s.entity_id = w.entity_id
    offset 0) e;

-- name: lock_entities
-- Lock the wanted entities that exist, in the one order that every writer uses.
-- Row by row in the order of the keys: starting from the keys holds before the table's first analysis, too.
select e.tenant_id, e.entity_type, e.entity_id, e.entity_values, e.removed, e.version, e.event_sequence, e.subject_id,
       e.created_at, e.changed_at, e.revision
from (select * from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[])
          as k (tenant_id, entity_type, entity_id)
      order by tenant_id, entity_type, entity_id) w
cross join lateral (
    select * from entity_state s
    where s.tenant_id = w.tenant_id and s.entity_type = w.entity_type and s.entity_id = w.entity_id
    for update) e;

-- name: insert_entities$
-- New entities; how many are new. One that somebody else has made meanwhile is left alone.
with made as (
    insert into entity_state
        (tenant_id, entity_type, entity_id, entity_values, removed, version, event_sequence, subject_id, created_at, changed_at)
    select * from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[], :entity_values::bytea[],
                         :removed::boolean[], :versions::bigint[], :event_sequences::bigint[], :subject_ids::text[],
                         :created_at::timestamptz[], :changed_at::timestamptz[])
        as i (tenant_id, entity_type, entity_id, entity_values, removed, version, event_sequence, subject_id, created_at,
              changed_at)
    order by i.tenant_id, i.entity_type, i.entity_id
    on conflict (tenant_id, entity_type, entity_id) do nothing
    returning tenant_id
)
select count(*) from made;

-- name: update_entities$
-- Where events and commands left the entities; how many were still as they were loaded.
with moved as (
    update entity_state e
    set entity_values = i.entity_values, removed = i.removed, version = i.version, event_sequence = i.event_sequence,
        subject_id = i.subject_id, created_at = i.created_at, changed_at = i.changed_at, revision = e.revision + 1,
        updated_at = cs_now()
    from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[], :entity_values::bytea[],
                :removed::boolean[], :versions::bigint[], :event_sequences::bigint[], :subject_ids::text[],
                :created_at::timestamptz[], :changed_at::timestamptz[], :loaded::bigint[])
        as i (tenant_id, entity_type, entity_id, entity_values, removed, version, event_sequence, subject_id, created_at,
              changed_at, loaded)
    where e.tenant_id = i.tenant_id and e.entity_type = i.entity_type and e.entity_id = i.entity_id and e.revision = i.loaded
    returning e.tenant_id
)
select count(*) from moved;

-- name: note_activities!
-- The newest activity of each entity; an older one changes nothing.
insert into entity_activities as known (tenant_id, entity_type, entity_id, last_activity_at)
select a.tenant_id, a.entity_type, a.entity_id, a.at
from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[], :ats::timestamptz[])
    as a (tenant_id, entity_type, entity_id, at)
order by a.tenant_id, a.entity_type, a.entity_id
on conflict (tenant_id, entity_type, entity_id) do update set last_activity_at = excluded.last_activity_at
where known.last_activity_at < excluded.last_activity_at;

-- name: find_commands
-- Those of the wanted commands that were decided before.
select c.tenant_id, c.entity_type, c.entity_id, c.command_id
from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[], :command_ids::text[])
    as w (tenant_id, entity_type, entity_id, command_id)
cross join lateral (
    select * from entity_commands k
    where k.tenant_id = w.tenant_id and k.entity_type = w.entity_type and k.entity_id = w.entity_id
      and k.command_id = w.command_id
    offset 0) c;

-- name: insert_commands$
-- Commands decided now; how many were new.
with noted as (
    insert into entity_commands (tenant_id, entity_type, entity_id, command_id, outcome, decided_at)
    select * from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[], :command_ids::text[],
                         :outcomes::text[], :decided_at::timestamptz[])
        as i (tenant_id, entity_type, entity_id, command_id, outcome, decided_at)
    order by i.tenant_id, i.entity_type, i.entity_id, i.command_id
    on conflict (tenant_id, entity_type, entity_id, command_id) do nothing
    returning tenant_id
)
select count(*) from noted;

-- name: find_tenants$
-- Those of these tenants that the directory knows.
select coalesce(array_agg(t.tenant_id), '{}') from tenants t where t.tenant_id = any (:tenant_ids::text[]);
