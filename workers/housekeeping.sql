-- name: tenants_with_inbox_rows$
-- Every tenant that has inbox rows, also one that the directory does not know: a stray command leaves a row too.
select coalesce(array_agg(distinct tenant_id), '{}') from inbox where group_name || '' = any (:groups::text[]);

-- name: delete_expired_idempotency_keys!
-- A batch of stored answers that are past their time, for the connection's tenants, while the lease holds.
delete from idempotency_keys
where ctid in (select ctid from idempotency_keys
               where tenant_id = any (app_tenants()) and expires_at <= cs_now() limit :most)
  and expires_at <= cs_now()
  and exists (select from leases where name = :lease and term = :term and expires_at > cs_now());

-- name: delete_replaced_secret_values!
-- A batch of secrets' values that count no longer, for the connection's tenants, while the lease holds.
delete from tenant_secret_values
where ctid in (select ctid from tenant_secret_values
               where tenant_id = any (app_tenants()) and live_until <= cs_now() limit :most)
  and live_until <= cs_now()
  and exists (select from leases where name = :lease and term = :term and expires_at > cs_now());

-- name: delete_old_published_events!
-- A batch of events that the publish door took before anything that their topic can still deliver, while the lease holds.
delete from published_events
where ctid in (select ctid from published_events
               where tenant_id = any (app_tenants()) and published_at <= cs_now() - :age::interval
               limit :most)
  and exists (select from leases where name = :lease and term = :term and expires_at > cs_now());

-- name: delete_forgotten_identities!
-- A batch of inbox rows older than anything that the group's topics can still deliver, while the lease holds.
delete from inbox
where ctid in (select ctid from inbox
               where tenant_id = any (app_tenants()) and group_name || '' = :group_name and received_at <= cs_now() - :age::interval
               limit :most)
  and exists (select from leases where name = :lease and term = :term and expires_at > cs_now());
