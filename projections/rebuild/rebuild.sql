-- name: insert_slices!
insert into rebuild_slices (rebuild_id, first_seq, last_seq, cursor)
select :rebuild_id, t.first, t.last, t.first - 1 from unnest(:firsts::bigint[], :lasts::bigint[]) as t (first, last)
on conflict (rebuild_id, attempt, first_seq) do nothing;

-- name: lease_slice^
-- The first slice that nobody reads, of a rebuild that is scanning.
update rebuild_slices s set owner = :owner, term = s.term + 1, expires_at = cs_now() + :life::interval
from rebuilds r
where (s.rebuild_id, s.attempt, s.first_seq) = (
        select f.rebuild_id, f.attempt, f.first_seq
        from rebuild_slices f join rebuilds o using (rebuild_id)
        where o.state = 'scanning' and not f.done and f.expires_at <= cs_now()
          and (:rebuild_id::uuid is null or f.rebuild_id = :rebuild_id)
        order by f.rebuild_id, f.attempt, f.first_seq
        limit 1
        for update of f skip locked)
  and r.rebuild_id = s.rebuild_id
returning s.rebuild_id, s.attempt, s.first_seq, s.last_seq, s.cursor, s.term, r.name, r.version, r.trial_tenant, r.rate;

-- name: advance_slice$
-- Under our term, while the rebuild is scanning: a paused or cancelled one ends its readers here.
update rebuild_slices s
set cursor = :cursor, scanned = s.scanned + :scanned, done = (:cursor = s.last_seq), expires_at = cs_now() + :life::interval
where s.rebuild_id = :rebuild_id and s.attempt = :attempt and s.first_seq = :first_seq and s.term = :term
  and exists (select from rebuilds r where r.rebuild_id = s.rebuild_id and r.state = 'scanning')
returning true;

-- name: release_slice!
update rebuild_slices set owner = '', expires_at = '-infinity'
where rebuild_id = :rebuild_id and attempt = :attempt and first_seq = :first_seq and term = :term;

-- name: count_readers$
select count(distinct owner) from rebuild_slices where rebuild_id = :rebuild_id and not done and expires_at > cs_now();

-- name: scan_progress^
select coalesce(sum(last_seq - first_seq + 1) filter (where attempt = 0), 0)::bigint as total,
       coalesce(sum(cursor - first_seq + 1) filter (where attempt = 0), 0)::bigint as applied,
       coalesce(bool_and(done), true) as done
from rebuild_slices where rebuild_id = :rebuild_id;

-- name: read_stored
-- A page of the store in the order in which it was written, only of these classes; the tenants are the transaction's. At most
-- so many rows, and so many bytes unless the first row alone has more.
select seq, tenant_id, case_id, version, class_name, subject_id, removed, snapshot
from (select s.*, sum(coalesce(octet_length(s.snapshot), 0)) over (order by s.seq) - coalesce(octet_length(s.snapshot), 0) as before
      from (select * from sys_case_data_store
            where seq > :after and seq <= :last and class_name = any (:classes::text[])
            order by seq
            limit :most) s) p
where before < :bytes
order by seq;

-- name: store_bounds^
-- Of the transaction's tenants.
select coalesce(min(seq), 0) as first, coalesce(max(seq), -1) as last from sys_case_data_store;

-- name: park_stored!
insert into rebuild_parked (rebuild_id, seq, tenant_id, case_id, version, reason)
select :rebuild_id, t.* from unnest(:seqs::bigint[], :tenant_ids::text[], :case_ids::text[], :versions::bigint[], :reasons::text[])
    as t (seq, tenant_id, case_id, version, reason)
on conflict (tenant_id, rebuild_id, seq) do update set reason = excluded.reason, parked_at = cs_now();

-- name: unpark_stored!
-- They have been read again and went well.
delete from rebuild_parked where rebuild_id = :rebuild_id and seq = any (:seqs::bigint[]);

-- name: lay_parked!
-- What was parked becomes slices of one row each: whoever leases them tries again.
insert into rebuild_slices (rebuild_id, attempt, first_seq, last_seq, cursor)
select p.rebuild_id, (select coalesce(max(attempt), 0) + 1 from rebuild_slices where rebuild_id = :rebuild_id), p.seq, p.seq, p.seq - 1
from rebuild_parked p where p.rebuild_id = :rebuild_id;

-- name: count_errors$
-- Poisoned messages of the group (what follows them in its key is no error of its own) and parked snapshots of the scan, those
-- of the transaction's tenants.
select (select count(*) from parked_messages where group_name = :group_name and reason <> 'follows')
     + (select count(*) from rebuild_parked where rebuild_id = :rebuild_id);

-- name: insert_offsets!
insert into rebuild_offsets (rebuild_id, topic, partition, begins, noted, goal)
select :rebuild_id, t.topic, t.partition, t.begins, t.noted, t.noted
from unnest(:topics::text[], :partitions::int[], :begins::bigint[], :noted::bigint[]) as t (topic, partition, begins, noted)
on conflict (rebuild_id, topic, partition) do nothing;

-- name: find_offsets
select topic, partition, begins, noted, goal, extract(epoch from cs_now() - goal_at)::float8 as age
from rebuild_offsets where rebuild_id = :rebuild_id;

-- name: set_goals!
update rebuild_offsets o set goal = t.goal, goal_at = cs_now()
from unnest(:topics::text[], :partitions::int[], :goals::bigint[]) as t (topic, partition, goal)
where o.rebuild_id = :rebuild_id and o.topic = t.topic and o.partition = t.partition;

-- name: begin_positions!
-- Where the version's group begins. Never moved once it stands: a second attempt finds the first one's.
insert into consumer_offsets (group_name, topic, partition, next, began_at)
select :group_name, t.topic, t.partition, t.next, t.next
from unnest(:topics::text[], :partitions::int[], :nexts::bigint[]) as t (topic, partition, next)
on conflict (group_name, topic, partition) do nothing;

-- name: find_positions
select topic, partition, next from consumer_offsets where group_name = :group_name;

-- name: stop_group!
-- The shell's own switch. Its reason says that we stopped it, so that we may start it again.
insert into consumer_groups (group_name, state, reason) values (:group_name, 'stopped', :reason)
on conflict (group_name) do update set state = 'stopped', reason = excluded.reason, changed_at = cs_now();

-- name: start_group!
update consumer_groups set state = 'running', reason = '', changed_at = cs_now() where group_name = :group_name and state = 'stopped';

-- name: group_switch^
select state, reason from consumer_groups where group_name = :group_name;

-- name: claim_order^
-- The oldest order of these kinds that nobody carries out, under a new term.
update projection_orders o set state = 'running', owner = :owner, term = o.term + 1, expires_at = cs_now() + :life::interval
where o.order_id = (select f.order_id from projection_orders f
                    where f.state in ('ordered', 'running') and f.expires_at <= cs_now() and f.kind = any (:kinds::text[])
                      and (:order_id::uuid is null or f.order_id = :order_id)
                    order by f.requested_at, f.order_id limit 1 for update skip locked)
returning *;

-- name: keep_order$
update projection_orders set expires_at = cs_now() + :life::interval
where order_id = :order_id and term = :term and state = 'running'
returning true;

-- name: wait_order!
-- Nothing to do about it before so long: it waits for the ddl job, or for a group to leave.
update projection_orders set expires_at = cs_now() + :pause::interval, message = :message
where order_id = :order_id and term = :term and state = 'running';

-- name: end_order$
update projection_orders set state = :state, verdict = :verdict, message = :message, report = :report::text::jsonb,
    compared_at = :compared_at, finished_at = cs_now(), expires_at = '-infinity'
where order_id = :order_id and term = :term and state = 'running'
returning true;

-- name: find_rebuild_of$
select rebuild_id from rebuilds where name = :name and version = :version;

-- name: find_in_outbox
-- Of these keys' events, those that Kafka does not have yet.
select distinct o.tenant_id, o.aggregate_id, o.sequence
from unnest(:tenant_ids::text[], :keys::text[]) as t (tenant_id, key)
join outbox_events o on o.tenant_id = t.tenant_id and o.aggregate_id = t.key
where o.topic = any (:topics::text[]) and o.sequence is not null;

-- name: list_tenants$
select coalesce(array_agg(tenant_id order by tenant_id), '{}') from tenants;

-- name: list_columns
-- The columns of a built-in table version, in their order.
select a.attname as name, format_type(a.atttypid, a.atttypmod) as type
from pg_attribute a
where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
order by a.attnum;

-- name: find_ddl^
-- The newest order of this kind to the owner role, if it was given since then. An open one counts, however old.
select order_id, state, error, reason, extract(epoch from cs_now() - executed_at)::float8 as executed_ago from ddl_orders
where name = :name and version = :version and kind = :kind
  and (:since::timestamptz is null or requested_at >= :since or state in ('waiting', 'approved'))
order by requested_at desc limit 1;

-- name: find_classes
-- The classes of these cases; a case keeps its class for life.
select t.tenant_id, t.case_id, c.class_name
from unnest(:tenant_ids::text[], :case_ids::text[]) as t (tenant_id, case_id)
cross join lateral (
    select h.class_name from cases h
    where h.tenant_id = t.tenant_id and h.case_id = t.case_id
    offset 0) c;

-- name: list_case_heads
-- Cases of these classes behind a key, in the order of keys, with the version that each has now.
select tenant_id, case_id, version from cases
where (tenant_id, case_id) > (:tenant, :case_id) and class_name = any (:classes::text[])
order by tenant_id, case_id
limit :most;

-- name: find_stored
-- These versions of these cases.
select s.tenant_id, s.case_id, s.version, s.class_name, s.subject_id, s.snapshot
from unnest(:tenant_ids::text[], :case_ids::text[], :versions::bigint[]) as t (tenant_id, case_id, version)
cross join lateral (
    select * from sys_case_data_store d
    where d.tenant_id = t.tenant_id and d.case_id = t.case_id and d.version = t.version
    offset 0) s;

-- name: list_rates
-- Rebuilds that have a rate and read the topic now, with how many members share it.
select r.name, r.version, r.rate,
       (select count(distinct o.owner) from consumer_offsets o
        where o.group_name = 'projections.' || r.name || '.v' || r.version and o.owner <> '') as members
from rebuilds r
where r.rate is not null and r.state in ('scanning', 'catching-up');
