-- name: list_tenants$
-- Every tenant, for jobs that work tenant by tenant.
select coalesce(array_agg(tenant_id order by tenant_id), '{}') from tenants;
