-- name: insert_order$
-- The order's id; nothing when one of its kind is open for the version.
insert into ddl_orders (order_id, kind, name, version, statement, sha256, reason, requested_by, while_serving)
values (:order_id, :kind, :name, :version, :statement, :sha256, :reason, :requested_by, :while_serving)
on conflict (name, version, kind) where state in ('waiting', 'approved') do nothing
returning order_id;

-- name: find_open_order$
select order_id from ddl_orders
where name = :name and version = :version and kind = :kind and state in ('waiting', 'approved');

-- name: find_order^
select order_id, kind, name, version, statement, sha256, state, reason, requested_by, requested_at, approved_by, approved_at,
       executed_at, attempts, error
from ddl_orders where order_id = :order_id;

-- name: list_orders
-- Newest first; null: every state.
select order_id, kind, name, version, sha256, state, reason, requested_by, requested_at, approved_by, approved_at, executed_at,
       attempts, error
from ddl_orders
where :state::text is null or state = :state
order by requested_at desc, order_id desc
limit :most;

-- name: find_orders_by_hash
select order_id, kind, name, version, statement from ddl_orders where sha256 = :sha256 and state = 'waiting' order by requested_at;

-- name: lock_open_orders
-- What waits for approval or execution, oldest first.
select order_id, kind, name, version, sha256, state, requested_by, attempts, while_serving
from ddl_orders
where state in ('waiting', 'approved')
order by requested_at, order_id
for update skip locked;

-- name: approve_orders
-- Orders with this hash that nobody has approved yet.
update ddl_orders set state = 'approved', approved_by = :approved_by, approved_at = cs_now()
where sha256 = :sha256 and state = 'waiting'
returning order_id, kind, name, version;

-- name: approve_order!
update ddl_orders set state = 'approved', approved_by = :approved_by, approved_at = cs_now()
where order_id = :order_id and state = 'waiting';

-- name: lock_serving$
-- What the view of a table shows, until the end of the transaction.
select serving_version from projection_tables where name = :name for update;

-- name: finish_order!
update ddl_orders set state = 'executed', executed_at = cs_now(), attempts = attempts + 1, error = null where order_id = :order_id;

-- name: refuse_order!
update ddl_orders set state = 'refused', attempts = attempts + 1, error = :error where order_id = :order_id;

-- name: put_off_order!
-- A lock was not to be had, or a consumer may still run: tried again in the next round.
update ddl_orders set attempts = attempts + 1, error = :error where order_id = :order_id;

-- name: list_approved_creates
-- The statements that somebody approved for this table before, newest first. Runtime roles cannot write these rows.
select version, sha256 from ddl_orders
where name = :name and kind = 'create' and state = 'executed' and approved_by <> :automatic
order by executed_at desc;

-- name: begin_ddl#
-- Nobody's reader waits behind a statement that waits for a lock.
set local lock_timeout = '100ms';

-- name: shown_columns
-- Columns and types of a view, in order; none when there is no such view.
select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, col_description(a.attrelid, a.attnum) as comment
from pg_attribute a
where a.attrelid = to_regclass(:view) and a.attnum > 0 and not a.attisdropped
order by a.attnum;

-- name: column_types
-- Types of the table's columns.
select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, col_description(a.attrelid, a.attnum) as comment
from pg_attribute a
where a.attrelid = to_regclass(:table_name) and a.attnum > 0 and not a.attisdropped
order by a.attnum;

-- name: list_dependents
-- Views and tables of others that stand on a view: it cannot be dropped from under them.
select distinct c.oid::regclass::text as name
from pg_depend d
join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
join pg_class c on c.oid = r.ev_class
where d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass(:view) and c.oid <> to_regclass(:view)
order by 1;

-- name: list_rights
-- Who may do what with a view or with a column of it, besides its owner; who gave it, where that was somebody else.
select coalesce(r.rolname::text, 'public') as role, x.privilege_type as privilege, p.attname as column_name,
       x.is_grantable as grantable, case when x.grantor <> p.owner then g.rolname::text end as given_by
from (select c.relowner as owner, null::name as attname, c.relacl as acl from pg_class c where c.oid = to_regclass(:view)
      union all
      select c.relowner, a.attname, a.attacl
      from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.oid = to_regclass(:view) and a.attnum > 0 and not a.attisdropped) p
cross join lateral aclexplode(p.acl) x
left join pg_roles r on r.oid = x.grantee
join pg_roles g on g.oid = x.grantor
where x.grantee <> p.owner
order by 1, 3 nulls first, 2;

-- name: seconds_in_state$
select extract(epoch from cs_now() - state_since)::double precision from projection_versions
where name = :name and version = :version;

-- name: forget_group!
-- A retired version's position and what it had set aside: its table is gone.
with offsets as (delete from consumer_offsets where group_name = :group_name),
     keys as (delete from parked_keys where group_name = :group_name),
     waiting as (delete from waiting_messages where group_name = :group_name),
     groups as (delete from consumer_groups where group_name = :group_name),
     numbers as (delete from applied_sequences where group_name = :group_name),
     seen as (delete from inbox where group_name = :group_name),
     ranges as (delete from skipped_ranges where group_name = :group_name),
     baselines as (delete from sequence_baselines where group_name = :group_name)
delete from parked_messages where group_name = :group_name;

-- name: estimate_snapshots$
-- About how many snapshots the store has; the planner's figure costs nothing.
select coalesce((select reltuples::bigint from pg_class where oid = to_regclass('public.sys_case_data_store')), 0);

-- name: measured_speed$
-- Snapshots per second of the rebuild that was finished last.
select speed from rebuilds where state = 'ready' and speed > 0 order by finished_at desc limit 1;
