-- name: insert_rebuild^
-- The new order, or nothing where one of this table (and tenant) is open already.
insert into rebuilds (rebuild_id, name, source, trial_tenant, rate, workers, error_budget, ordered_by, reason)
values (:rebuild_id, :name, :source, :trial_tenant, :rate, :workers, :error_budget, :ordered_by, :reason)
on conflict (name, coalesce(trial_tenant, ''))
    where state in ('ordered', 'planned', 'prepared', 'scanning', 'catching-up', 'paused') do nothing
returning *;

-- name: find_open_rebuild^
select * from rebuilds
where name = :name and coalesce(trial_tenant, '') = coalesce(:trial_tenant::text, '')
  and state in ('ordered', 'planned', 'prepared', 'scanning', 'catching-up', 'paused');

-- name: find_rebuild^
select * from rebuilds where rebuild_id = :rebuild_id;

-- name: lock_rebuild^
-- Whoever moves it waits for us.
select * from rebuilds where rebuild_id = :rebuild_id for update;

-- name: list_open_rebuilds
select * from rebuilds
where state in ('ordered', 'planned', 'prepared', 'scanning', 'catching-up', 'paused')
order by ordered_at, rebuild_id;

-- name: list_rebuilds
-- Newest first, from behind the row that was seen last.
select * from rebuilds
where (:name::text is null or name = :name)
  and (:after_at::timestamptz is null or (ordered_at, rebuild_id) < (:after_at, :after_id::uuid))
order by ordered_at desc, rebuild_id desc
limit :most;

-- name: move_rebuild^
-- To another state, if it is still in the one that the decision was about.
update rebuilds set
    state = :to_state,
    paused_from = case when :to_state = 'paused' then state end,
    message = :message,
    forgiven = case when state = 'paused' then errors else forgiven end,
    started_at = case when :to_state in ('scanning', 'catching-up') then coalesce(started_at, cs_now()) else started_at end,
    finished_at = case when :to_state in ('ready', 'refused', 'failed', 'cancelled') then cs_now() end
where rebuild_id = :rebuild_id and state = :from_state
returning *;

-- name: set_version!
update rebuilds set version = :version where rebuild_id = :rebuild_id and version is null;

-- name: set_message!
update rebuilds set message = :message where rebuild_id = :rebuild_id and state = :state and message <> :message;

-- name: set_errors!
update rebuilds set errors = :errors where rebuild_id = :rebuild_id;

-- name: set_progress!
-- At most about once a second, whoever measures: the speed is smoothed over the last few seconds.
update rebuilds set
    speed = case when measured_at is null then 0
                 else speed * 0.6 + 0.4 * greatest(0, :applied - applied) / extract(epoch from cs_now() - measured_at) end,
    applied = :applied, total = :total, errors = :errors, measured_at = cs_now()
where rebuild_id = :rebuild_id and (measured_at is null or measured_at < cs_now() - interval '0.9 s');

-- name: find_versions
-- The catalogue's lines of a table, the one that stands by since the shortest time first.
select v.version, v.state, v.trial_tenant, v.source, v.state_since, t.serving_version, t.kind
from projection_tables t join projection_versions v using (name)
where t.name = :name
order by v.state_since desc, v.version desc;

-- name: find_parity^
-- The newest finished comparison of a version with another one.
select against, verdict, compared_at, cs_now() as now from projection_orders
where name = :name and version = :version and kind = 'verify' and state = 'done' and not whole
order by compared_at desc
limit 1;

-- name: database_time$
select cs_now();

-- name: insert_order^
-- The new order, or nothing where the same one is open already.
insert into projection_orders (order_id, kind, name, version, against, whole, requested_by, reason)
values (:order_id, :kind, :name, :version, :against, :whole, :requested_by, :reason)
on conflict (name, version, kind, whole) where state in ('ordered', 'running') do nothing
returning *;

-- name: find_open_order^
select * from projection_orders
where name = :name and version = :version and kind = :kind and whole = :whole and state in ('ordered', 'running');

-- name: find_order^
select * from projection_orders where order_id = :order_id;

-- name: list_orders
select * from projection_orders
where name = :name and (:version::integer is null or version = :version)
order by requested_at desc, order_id
limit :most;
