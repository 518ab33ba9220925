-- name: lock_cases
-- Lock the wanted heads that exist, in the one order that every writer uses; a row for each wanted case, and the tenant's state.
-- Row by row in the order of the keys: starting from the keys holds before the table's first analysis, too.
select w.tenant_id, w.case_id, l.class_name, l.subject_id, l.version, l.removed, l.created_at, l.created_by, l.updated_at,
       l.updated_by, coalesce(t.active, false) as tenant_active, cs_now() as now
from (select * from unnest(:tenant_ids::text[], :case_ids::text[]) as k (tenant_id, case_id)
      order by tenant_id, case_id) w
left join lateral (
    select * from cases c
    where c.tenant_id = w.tenant_id and c.case_id = w.case_id
    for update) l on true
left join lateral (select n.active from tenants n where n.tenant_id = w.tenant_id offset 0) t on true;

-- name: find_subjects
-- Whose the wanted cases are: it never changes, so it may be read before anything is locked.
select w.tenant_id, w.case_id, c.subject_id
from unnest(:tenant_ids::text[], :case_ids::text[]) as w (tenant_id, case_id)
cross join lateral (
    select h.subject_id from cases h
    where h.tenant_id = w.tenant_id and h.case_id = w.case_id
    offset 0) c;

-- name: insert_cases$
-- New heads; how many are new. One that somebody else has made meanwhile is left alone.
with made as (
    insert into cases
        (tenant_id, case_id, class_name, subject_id, version, removed, created_at, created_by, updated_at, updated_by)
    select i.tenant_id, i.case_id, i.class_name, i.subject_id, i.version, i.removed, i.created_at, i.created_by, i.updated_at,
           i.updated_by
    from jsonb_to_recordset(:cases::jsonb)
         as i (tenant_id text, case_id text, class_name text, subject_id text, version bigint, removed boolean,
               created_at timestamptz, created_by text, updated_at timestamptz, updated_by text)
    order by i.tenant_id, i.case_id
    on conflict (tenant_id, case_id) do nothing
    returning tenant_id
)
select count(*) from made;

-- name: update_cases$
-- Where the versions left the heads; how many were still at the loaded version.
with moved as (
    update cases c
    set version = i.version, removed = i.removed, updated_at = i.updated_at, updated_by = i.updated_by
    from jsonb_to_recordset(:cases::jsonb)
         as i (tenant_id text, case_id text, loaded bigint, version bigint, removed boolean, updated_at timestamptz,
               updated_by text)
    where c.tenant_id = i.tenant_id and c.case_id = i.case_id and c.version = i.loaded
    returning c.tenant_id
)
select count(*) from moved;

-- name: insert_snapshots!
-- Append versions, in the order in which they were decided.
insert into sys_case_data_store
    (tenant_id, case_id, version, class_name, subject_id, removed, snapshot, stored_at, stored_by, source)
select * from unnest(:tenant_ids::text[], :case_ids::text[], :versions::bigint[], :class_names::text[], :subject_ids::text[],
                     :removed::boolean[], :snapshots::bytea[], :stored_at::timestamptz[], :stored_by::text[], :sources::text[]);
