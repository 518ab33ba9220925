-- name: list_tables
-- Tables of our schemas, with their row level security.
select n.nspname || '.' || c.relname as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'projections', 'analytics', 'meta') and c.relkind in ('r', 'p')
order by 1;

-- name: list_views
select n.nspname || '.' || c.relname as name, coalesce('security_invoker=true' = any (c.reloptions), false) as invoker
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'projections', 'analytics', 'meta') and c.relkind in ('v', 'm')
order by 1;

-- name: list_grants
-- Who may do what to a table; a grant on some of its columns counts like one on the table.
select n.nspname || '.' || c.relname as name, coalesce(r.rolname, 'PUBLIC') as role, lower(g.privilege_type) as verb
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (
    select x.grantee, x.privilege_type from aclexplode(c.relacl) x
    union
    select x.grantee, x.privilege_type from pg_attribute a, aclexplode(a.attacl) x where a.attrelid = c.oid) g
left join pg_roles r on r.oid = g.grantee
where n.nspname in ('public', 'projections', 'analytics', 'meta') and c.relkind in ('r', 'p')
  and g.grantee <> c.relowner
order by 1, 2, 3;

-- name: list_policies
select schemaname || '.' || tablename as name, policyname as policy, lower(cmd) as verb, unnest(roles)::text as role,
       permissive = 'PERMISSIVE' as permissive, qual, with_check
from pg_policies
order by 1, 2;

-- name: list_definers
-- Functions that run with their owner's rights.
select n.nspname || '.' || p.proname as name
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname in ('public', 'projections', 'analytics', 'meta') and p.prosecdef;

-- name: list_public_functions
-- Functions that anybody may call.
select n.nspname || '.' || p.proname as name
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname in ('public', 'projections', 'analytics', 'meta')
  and p.prorettype <> 'trigger'::regtype
  and (p.proacl is null or exists (select from aclexplode(p.proacl) x where x.grantee = 0));

-- name: list_keys
-- The leading column of every primary key, unique index and foreign key.
select n.nspname || '.' || c.relname as name, i.indexrelid::regclass::text as key, a.attname as leading
from pg_index i
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
where i.indisunique and n.nspname in ('public', 'projections', 'analytics', 'meta')
union all
select n.nspname || '.' || c.relname, k.conname, a.attname
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
where k.contype = 'f' and n.nspname in ('public', 'projections', 'analytics', 'meta')
order by 1, 2;

-- name: list_columns
select n.nspname || '.' || c.relname as name, a.attname as column_name, format_type(a.atttypid, a.atttypmod) as type,
       c.relkind in ('r', 'p') as is_table, a.attgenerated <> '' as computed
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'projections', 'analytics', 'meta') and c.relkind in ('r', 'p', 'v')
  and a.attnum > 0 and not a.attisdropped
order by 1, a.attnum;
