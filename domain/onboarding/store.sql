-- name: find_named
-- Whose instances these are, which never changes, and their flows, which a migration may change until they are locked.
select i.tenant_id, i.instance_id, i.user_id, i.flow, i.flow_version
from unnest(:tenant_ids::text[], :ids::text[]) as w (tenant_id, instance_id)
join onboarding_instance i using (tenant_id, instance_id)
where i.tenant_id = any (:tenant_ids) and i.instance_id = any (:ids);

-- name: find_active_tenants
select tenant_id from tenants where tenant_id = any (:tenant_ids::text[]) and active;

-- name: lock_instances
-- Instances with their sealed cases, locked in one order; what decisions need of them.
select i.tenant_id, i.instance_id, i.folded, i.case_version, i.case_data
from (select * from unnest(:tenant_ids::text[], :ids::text[]) as t (tenant_id, instance_id)
      order by tenant_id, instance_id) w
cross join lateral (
    select o.tenant_id, o.instance_id, o.folded, c.version as case_version, c.case_data
    from onboarding_instance o left join flw_case c on c.tenant_id = o.tenant_id and c.case_id = o.instance_id
    where o.tenant_id = w.tenant_id and o.instance_id = w.instance_id for update of o) i;

-- name: insert_instances$
-- New instances; how many are new. One whose id is taken is left alone.
with made as (
    insert into onboarding_instance
        (tenant_id, instance_id, flow, flow_version, user_id, status, current_state, version, work_item_id, cycle, folded,
         started_at, entered_at, expires_at, ended_at)
    select i.tenant_id, i.instance_id, i.flow, i.flow_version, i.user_id, i.status, i.current_state, i.version, i.work_item_id,
           i.cycle, i.folded, i.started_at, i.entered_at, i.expires_at, i.ended_at
    from jsonb_to_recordset(:instances::jsonb)
         as i (tenant_id text, instance_id text, flow text, flow_version integer, user_id text, status text,
               current_state text, version bigint, work_item_id text, cycle bigint, folded text, started_at timestamptz,
               entered_at timestamptz, expires_at timestamptz, ended_at timestamptz)
    order by i.tenant_id, i.instance_id
    on conflict (tenant_id, instance_id) do nothing
    returning 1
)
select count(*) from made;

-- name: write_histories$
-- Where decisions left instances that are locked, with their events and attempts; how many were at the loaded version.
select write_histories(:instances::jsonb, :events::jsonb, :begun::jsonb, :ended::jsonb);

-- name: write_cases$
-- What is known of persons by now, sealed.
select write_cases(:cases::jsonb);

-- name: read_instances
-- Instances of a tenant without a lock, and the clock; a transaction of its own.
select * from read_instances(:tenant_id, :ids::text[]);

-- name: record_steps^
-- Ended calls and everything that follows from them, in a transaction of its own: all of it, or nothing where some are `stale`.
select * from record_steps(
    :tenant_id, :space, :buckets::integer[], :subjects::text[], :calls::jsonb, :instances::jsonb, :events::jsonb,
    :begun::jsonb, :ended::jsonb, :cases::jsonb, :outbox::jsonb, :planned::jsonb, :armed::jsonb, :disarmed::text[],
    :owner, :life);

-- name: write_snapshots!
insert into state_snapshot (tenant_id, instance_id, sequence_number, state, folded)
select * from unnest(:tenant_ids::text[], :ids::text[], :numbers::bigint[], :states::text[], :folded::text[])
on conflict do nothing;

-- name: find_results
-- The event that holds what a forward step's handler gave, of its last success.
select distinct on (w.tenant_id, w.instance_id, w.step) w.tenant_id, w.instance_id, w.step, e.sequence_number, e.data
from unnest(:tenant_ids::text[], :ids::text[], :steps::bigint[]) as w (tenant_id, instance_id, step)
join step_execution s on s.tenant_id = w.tenant_id and s.instance_id = w.instance_id and s.step = w.step
join workflow_event e
  on e.tenant_id = s.tenant_id and e.instance_id = s.instance_id and e.sequence_number = s.result
where s.result is not null and e.data is not null
order by w.tenant_id, w.instance_id, w.step, s.attempt desc;

-- name: find_said
-- What persons said in these events, sealed.
select e.tenant_id, e.instance_id, e.sequence_number, e.data
from unnest(:tenant_ids::text[], :ids::text[], :numbers::bigint[]) as w (tenant_id, instance_id, sequence_number)
join workflow_event e using (tenant_id, instance_id, sequence_number)
where e.data is not null;

-- name: insert_review_tasks!
insert into onboarding_review_task (tenant_id, work_item_id, instance_id, task, group_name)
select * from unnest(:tenant_ids::text[], :work_item_ids::text[], :ids::text[], :tasks::bigint[], :groups::text[])
on conflict do nothing;

-- name: close_review_tasks
-- Tasks that nobody need decide any more; those that were open.
update onboarding_review_task t set closed = true
from unnest(:tenant_ids::text[], :ids::text[], :tasks::bigint[]) as w (tenant_id, instance_id, task)
where t.tenant_id = w.tenant_id and t.instance_id = w.instance_id and t.task = w.task and not t.closed
returning t.tenant_id, t.work_item_id;

-- name: find_review_tasks
-- Open tasks that these work items ask to decide.
select w.tenant_id, w.work_item_id, t.instance_id, t.task
from unnest(:tenant_ids::text[], :work_item_ids::text[]) as w (tenant_id, work_item_id)
join onboarding_review_task t using (tenant_id, work_item_id)
where not t.closed;

-- name: find_coupled_instances
select tenant_id, work_item_id, instance_id
from onboarding_instance
where tenant_id = any (:tenant_ids::text[]) and work_item_id = any (:work_item_ids::text[]);

-- name: read_clock$
select cs_now();
