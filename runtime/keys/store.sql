-- name: list_current
-- The newest data key of each of these subjects; none for a subject that has none or is shredded.
select distinct on (k.tenant_id, k.subject_id) k.tenant_id, k.subject_id, k.key_id, k.generation, k.kek_id, k.wrapped
from data_keys k
where (k.tenant_id, k.subject_id) in (select * from unnest(:tenants::text[], :subjects::text[]))
  and not exists (select from shredded_subjects s where s.tenant_id = k.tenant_id and s.subject_id = k.subject_id)
order by k.tenant_id, k.subject_id, k.generation desc;

-- name: list_keys
-- These data keys, each only under its own subject; none of a shredded one.
select k.tenant_id, k.subject_id, k.key_id, k.kek_id, k.wrapped
from unnest(:tenants::text[], :subjects::text[], :key_ids::uuid[]) as wanted (tenant_id, subject_id, key_id)
join data_keys k using (tenant_id, subject_id, key_id)
where not exists (select from shredded_subjects s where s.tenant_id = k.tenant_id and s.subject_id = k.subject_id);

-- name: insert_keys!
-- New data keys. Who comes second with the same generation adds nothing; the table's trigger leaves out shredded subjects.
insert into data_keys (tenant_id, subject_id, key_id, generation, kek_id, wrapped)
select * from unnest(:tenants::text[], :subjects::text[], :key_ids::uuid[], :generations::int[], :kek_ids::text[],
                     :wrapped::bytea[])
order by 1, 2
on conflict do nothing;

-- name: rewrap_keys$
-- The same keys under another wrapping, each only if nobody changed or destroyed it meanwhile; how many.
with done as (
    update data_keys k set wrapped = n.wrapped, kek_id = n.kek_id, wrapped_at = statement_timestamp()
    from unnest(:tenants::text[], :subjects::text[], :key_ids::uuid[], :old::bytea[], :kek_ids::text[], :new::bytea[])
        as n (tenant_id, subject_id, key_id, old, kek_id, wrapped)
    where (k.tenant_id, k.subject_id, k.key_id) = (n.tenant_id, n.subject_id, n.key_id) and k.wrapped = n.old
    returning 1)
select count(*) from done;

-- name: list_to_rewrap
-- The next data keys that another key-encryption key wraps, after a place in the order of the primary key.
select k.tenant_id, k.subject_id, k.key_id, k.kek_id, k.wrapped from data_keys k
where k.kek_id <> :kek_id and (k.tenant_id, k.subject_id, k.key_id) > (:tenant_id, :subject_id, :key_id)
order by k.tenant_id, k.subject_id, k.key_id limit :most;

-- name: count_by_kek
-- How many data keys each key-encryption key wraps, of how many subjects.
select k.kek_id, count(*) as keys, count(distinct (k.tenant_id, k.subject_id)) as subjects,
       min(k.created_at) as oldest, max(k.wrapped_at) as last_wrapped
from data_keys k group by k.kek_id order by k.kek_id;

-- name: list_keks$
-- Every key-encryption key in use, found by stepping through the index.
with recursive found (kek_id) as (
    (select kek_id from data_keys order by kek_id limit 1)
    union all
    select (select k.kek_id from data_keys k where k.kek_id > f.kek_id order by k.kek_id limit 1)
    from found f where f.kek_id is not null)
select coalesce(array_agg(kek_id), '{}') from found where kek_id is not null;

-- name: list_keys_of_subjects
-- Data keys without their wrapping, for people.
select k.tenant_id, k.subject_id, k.key_id, k.generation, k.kek_id, k.created_at, k.wrapped_at from data_keys k
where (:tenant_id::text is null or k.tenant_id = :tenant_id) and (:subject_id::text is null or k.subject_id = :subject_id)
order by k.tenant_id, k.subject_id, k.generation limit :most;

-- name: highest_generation$
select coalesce(max(k.generation), 0) from data_keys k where k.tenant_id = :tenant_id and k.subject_id = :subject_id;

-- name: delete_keys$
-- Destroy every data key of a subject that is in the ledger; the keys' ids.
with gone as (
    delete from data_keys k using shredded_subjects s
    where (s.tenant_id, s.subject_id) = (k.tenant_id, k.subject_id)
      and k.tenant_id = :tenant_id and k.subject_id = :subject_id
    returning k.key_id)
select coalesce(array_agg(key_id::text order by key_id), '{}') from gone;

-- name: enter_ledger!
-- Enter subjects; one that is there stays as it was entered first.
insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)
select * from unnest(:tenants::text[], :subjects::text[], :shred_ids::uuid[], :ordered_at::timestamptz[],
                     :requested_by::text[], :reasons::text[])
order by 1, 2
on conflict do nothing;

-- name: list_ledger
-- A page of the ledger in the order of its key.
select s.tenant_id, s.subject_id, s.shred_id, s.ordered_at, s.requested_by, s.reason from shredded_subjects s
where (s.tenant_id, s.subject_id) > (:tenant_id, :subject_id)
order by s.tenant_id, s.subject_id limit :most;

-- name: list_lately_shredded
-- Who was entered lately, longer ago than any process keeps a key: for processes that forget keys, and for interrupted orders.
select s.tenant_id, s.subject_id, s.shred_id, s.ordered_at, s.requested_by, s.reason from shredded_subjects s
where s.entered_at > statement_timestamp() - interval '2 hours';

-- name: sweep_keys!
-- Destroy the data keys of every subject in the ledger: what the restore of an old backup brought back.
delete from data_keys k using shredded_subjects s where (s.tenant_id, s.subject_id) = (k.tenant_id, k.subject_id);
