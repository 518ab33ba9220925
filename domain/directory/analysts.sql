-- name: find_login^
-- A database role of that name, and whether it is an analyst's.
select r.rolname as login,
       exists (select from pg_auth_members m join pg_roles g on g.oid = m.roleid
               where m.member = r.oid and g.rolname = 'cs_analyst') as analyst
from pg_roles r where r.rolname::text = :login;

-- name: render_create_login$
-- The statement that makes a login; the password is a SCRAM verifier.
select format('create role %I login nosuperuser nocreatedb nocreaterole nobypassrls password %L in role cs_analyst',
              :login::text, :verifier::text);

-- name: render_change_password$
select format('alter role %I password %L', :login::text, :verifier::text);

-- name: render_drop_login$
select format('drop role %I', :login::text);

-- name: insert_grant!
-- Let a login read a tenant.
insert into analyst_tenants (tenant_id, role_name) values (:tenant_id, :login) on conflict do nothing;

-- name: delete_grants
-- Take tenants from a login: one, or all when none is named.
delete from analyst_tenants
where role_name = :login and (:tenant_id::text is null or tenant_id = :tenant_id)
returning tenant_id;

-- name: list_analysts
-- Every analyst's login and the tenants it may read; a login without a tenant reads nothing.
select r.rolname as login,
       coalesce(array_agg(a.tenant_id order by a.tenant_id) filter (where a.tenant_id is not null), '{}') as tenants
from pg_roles r
join pg_auth_members m on m.member = r.oid
join pg_roles g on g.oid = m.roleid and g.rolname = 'cs_analyst'
left join analyst_tenants a on a.role_name = r.rolname
where r.rolname <> 'cs_migrate'
group by r.rolname
order by r.rolname;

-- name: tenant_exists$
select exists (select from tenants where tenant_id = :tenant_id);
