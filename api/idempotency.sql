-- name: claim_key!
-- Take the key for this transaction. Waits for a running first request; an expired key is taken over. 0: somebody has it.
insert into idempotency_keys as known (tenant_id, principal, route, key, fingerprint, expires_at)
values (:tenant_id, :principal, :route, :key, :fingerprint, cs_now() + make_interval(secs => :ttl_seconds::float8))
on conflict (tenant_id, principal, route, key) do update
    set fingerprint = excluded.fingerprint, status = null, answer = null, created_at = cs_now(), expires_at = excluded.expires_at
    where known.expires_at <= cs_now();

-- name: find_key^
-- What the first request with this key left.
select fingerprint, status, answer
from idempotency_keys
where tenant_id = :tenant_id and principal = :principal and route = :route and key = :key;

-- name: store_answer!
-- Keep the answer beside its effect.
update idempotency_keys
set status = :status, answer = :answer
where tenant_id = :tenant_id and principal = :principal and route = :route and key = :key;

-- name: release_key!
-- The request had no effect: the key is free again.
delete from idempotency_keys
where tenant_id = :tenant_id and principal = :principal and route = :route and key = :key;
