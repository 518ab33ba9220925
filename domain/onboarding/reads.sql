-- name: find_instance^
-- One instance without its folded text.
select tenant_id, instance_id, flow, flow_version, user_id, status, current_state, version, work_item_id, cycle, started_at,
       entered_at, expires_at, ended_at
from onboarding_instance where tenant_id = :tenant_id and instance_id = :id;

-- name: find_folded$
select folded from onboarding_instance where tenant_id = :tenant_id and instance_id = :id;

-- name: list_instances
-- A tenant's instances of these statuses, newest first: of each status no more than the page needs, from the index alone.
with page as (
    select i.instance_id
    from unnest(:statuses::text[]) as s (status)
    cross join lateral (
        select o.instance_id, o.started_at from onboarding_instance o
        where o.tenant_id = :tenant_id and o.status = s.status
        order by o.started_at desc, o.instance_id limit :most) i
    order by i.started_at desc, i.instance_id limit :size offset :skipped
)
select o.instance_id, o.flow, o.flow_version, o.user_id, o.status, o.current_state, o.version, o.started_at, o.entered_at,
       o.expires_at, o.ended_at
from onboarding_instance o
where o.tenant_id = :tenant_id and o.instance_id = any (array(select p.instance_id from page p))
order by o.started_at desc, o.instance_id;

-- name: list_instances_of
-- The same of one user.
select instance_id, flow, flow_version, user_id, status, current_state, version, started_at, entered_at, expires_at, ended_at
from onboarding_instance
where tenant_id = :tenant_id and user_id = :user_id and status = any (:statuses::text[])
order by started_at desc, instance_id limit :size offset :skipped;

-- name: list_events
-- A page of a history, in order.
select sequence_number, event_type, payload, cause, data is not null as said, created_at
from workflow_event
where tenant_id = :tenant_id and instance_id = :id and sequence_number > :after
order by sequence_number limit :size;

-- name: list_newest_events
-- A page of a history, latest first.
select sequence_number, event_type, payload, created_at
from workflow_event
where tenant_id = :tenant_id and instance_id = :id and sequence_number < :before
order by sequence_number desc limit :size;

-- name: find_said^
-- One event with what was said in it, sealed, and under whose key.
select e.event_type, e.payload, e.data, e.created_at, i.user_id
from workflow_event e join onboarding_instance i using (tenant_id, instance_id)
where e.tenant_id = :tenant_id and e.instance_id = :id and e.sequence_number = :number;

-- name: find_case^
-- What is known of the person by now, sealed.
select version, case_data from flw_case where tenant_id = :tenant_id and case_id = :id;

-- name: list_attempts
-- The latest attempts of the latest steps, in order.
select * from (
    select step, attempt, state, action, handler, undoes, status, code, started_at, due_at, ended_at
    from step_execution where tenant_id = :tenant_id and instance_id = :id
    order by step desc, attempt desc limit :most) latest
order by step, attempt;
