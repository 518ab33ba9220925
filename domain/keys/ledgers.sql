-- name: list_main_ledger
-- A page of the main database's ledger in the order of its key.
select s.tenant_id, s.subject_id, s.shred_id, s.ordered_at, s.requested_by, s.reason from shredded_subjects s
where (s.tenant_id, s.subject_id) > (:tenant_id, :subject_id)
order by s.tenant_id, s.subject_id limit :most;

-- name: enter_main_ledger!
-- Enter subjects; one that is there stays as it was entered first.
insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by, reason)
select * from unnest(:tenants::text[], :subjects::text[], :shred_ids::uuid[], :ordered_at::timestamptz[],
                     :requested_by::text[], :reasons::text[])
order by 1, 2
on conflict do nothing;

-- name: see_tenant!
-- For whatever role this is: the transaction's tenant.
select set_config('app.tenant', :tenant_id, true), set_config('app.tenants', array[:tenant_id]::text[]::text, true);

-- name: bound_waiting!
-- Who waits for a bucket stops those who come after: wait in short turns.
select set_config('lock_timeout', '500ms', true);

-- name: count_entered$
select count(*) from shredded_subjects s
where (s.tenant_id, s.subject_id) in (select * from unnest(:tenants::text[], :subjects::text[]));

-- name: list_entered
select s.tenant_id, s.subject_id from shredded_subjects s
where (s.tenant_id, s.subject_id) in (select * from unnest(:tenants::text[], :subjects::text[]));
