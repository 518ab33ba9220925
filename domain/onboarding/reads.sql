-- name: find_instance^
-- One instance without its folded text.
select tenant_id, instance_id, flow, flow_version, user_id, status, current_state, version, work_item_id, cycle, started_at,
       entered_at, expires_at, ended_at
from onboarding_instance where tenant_id = :tenant_id and instance_id = :id;

-- name: find_folded$
select folded from onboarding_instance where tenant_id = :tenant_id and instance_id = :id;

-- name: list_instances
-- A tenant's instances, newest first.
select instance_id, flow, flow_version, user_id, status, current_state, version, started_at, entered_at, expires_at, ended_at
from onboarding_instance
where tenant_id = :tenant_id and (:status::text is null or status = :status)
order by started_at desc, instance_id limit :size offset :skipped;

-- name: list_events
-- A page of a history, in order.
select sequence_number, event_type, payload, cause, data is not null as said, created_at
from workflow_event
where tenant_id = :tenant_id and instance_id = :id and sequence_number > :after
order by sequence_number limit :size;

-- name: list_attempts
-- Every attempt of every step.
select step, attempt, state, action, handler, undoes, status, code, started_at, due_at, ended_at
from step_execution where tenant_id = :tenant_id and instance_id = :id
order by step, attempt;
