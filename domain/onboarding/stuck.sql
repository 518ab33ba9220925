-- name: list_live
-- A page of a tenant's instances that have not ended, in the order of their ids.
select instance_id, folded from onboarding_instance
where tenant_id = :tenant_id and ended_at is null and instance_id > :after
order by instance_id limit :size;

-- name: find_tasks
-- The review tasks of these instances.
select instance_id, task from onboarding_review_task
where tenant_id = :tenant_id and instance_id = any (:ids::text[]);

-- name: count_recoveries$
-- What a tenant's instances were taken up again in the last hour: S2's query, of one tenant.
select count(*) from workflow_event
where tenant_id = :tenant_id and event_type = 'RECOVERY' and created_at > cs_now() - interval '1 hour';
