-- name: lock_secret^
-- The secret, held until the transaction ends.
select s.version, s.removed from tenant_secrets s where s.tenant_id = :tenant_id and s.name = :name for update;

-- name: insert_secret^
-- A secret of this name, or nothing when there is one.
insert into tenant_secrets (tenant_id, name, version, created_by, updated_by)
values (:tenant_id, :name, 1, :actor, :actor)
on conflict do nothing
returning version;

-- name: raise_version!
-- The secret has a newer value, and is there again if it was removed.
update tenant_secrets set version = :version, removed = false, updated_at = cs_now(), updated_by = :actor
where tenant_id = :tenant_id and name = :name;

-- name: delete_older_values!
-- Of a secret's values only this one stays.
delete from tenant_secret_values where tenant_id = :tenant_id and name = :name and version <> :version;

-- name: retire_value!
-- The value before lives so long beside the newest.
update tenant_secret_values set live_until = cs_now() + make_interval(secs => :seconds)
where tenant_id = :tenant_id and name = :name and version = :version;

-- name: insert_value!
-- The newest value.
insert into tenant_secret_values (tenant_id, name, version, sealed) values (:tenant_id, :name, :version, :sealed);

-- name: delete_values!
-- No value is left.
delete from tenant_secret_values where tenant_id = :tenant_id and name = :name;

-- name: remove_secret^
-- The secret is gone; its number stays.
update tenant_secrets set removed = true, updated_at = cs_now(), updated_by = :actor
where tenant_id = :tenant_id and name = :name and not removed
returning version;

-- name: list_secrets
-- One page of a tenant's secrets by name, without their values.
select s.name, s.version, s.created_at, s.created_by, s.updated_at, s.updated_by,
       (select max(v.live_until) from tenant_secret_values v
        where v.tenant_id = s.tenant_id and v.name = s.name and v.live_until > cs_now()) as previous_live_until
from tenant_secrets s
where s.tenant_id = :tenant_id and not s.removed and (:after::text is null or s.name > :after)
order by s.name
limit :page_size;

-- name: list_known$
-- Those of these names that are secrets of the tenant.
select coalesce(array_agg(s.name), '{}') from tenant_secrets s
where s.tenant_id = :tenant_id and s.name = any (:names::text[]) and not s.removed;

-- name: list_live_values
-- The sealed values that count now, the newest of each name first.
select v.name, v.version, v.sealed from tenant_secret_values v
where v.tenant_id = :tenant_id and v.name = any (:names::text[]) and (v.live_until is null or v.live_until > cs_now())
order by v.name, v.version desc;
