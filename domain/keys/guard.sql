-- name: share_buckets
-- Take the shared locks in the given (rising) order, and say what this transaction can see.
select pg_advisory_xact_lock_shared(:space, bucket) as taken,
       current_setting('transaction_isolation') = 'read committed' as sees_what_waiting_brought,
       not row_security_active('shredded_subjects') or :tenants::text[] <@ coalesce(app_tenants(), array[app_tenant()])
           as sees_the_tenants
from unnest(:buckets::int[]) as bucket;

-- name: take_bucket!
-- Alone in the bucket: every transaction that encrypts or decrypts one of its subjects has ended, none begins.
select pg_advisory_xact_lock(:space, :bucket);

-- name: list_shredded
-- Those of these subjects whose keys were destroyed.
select s.tenant_id, s.subject_id from shredded_subjects s
where (s.tenant_id, s.subject_id) in (select * from unnest(:tenants::text[], :subjects::text[]));
