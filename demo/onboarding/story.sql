-- name: count_ended$
select count(*) from onboarding_instance where tenant_id = :tenant_id and instance_id = any (:ids::text[]) and ended_at is not null;

-- name: list_ends
-- How journeys ended.
select user_id, status from onboarding_instance where tenant_id = :tenant_id and instance_id = any (:ids::text[]);

-- name: count_incidents$
-- Incidents of these journeys that are still open.
select count(*) from incidents
where tenant_id = :tenant_id and object_type = 'onboarding' and object_id = any (:ids::text[]) and resolved_at is null;
