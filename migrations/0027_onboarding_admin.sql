-- What operators of onboarding page through, and the queues of reviews.

-- A tenant's instances of one status, newest first, from the index alone. S2's query by status goes on using its first column.
drop index onboarding_instance_by_status;
create index onboarding_instance_by_status on onboarding_instance (status, tenant_id, started_at desc, instance_id);
-- What ended lately; written once per instance.
create index onboarding_instance_ended on onboarding_instance (tenant_id, ended_at) where ended_at is not null;

-- Incidents by what they are about: a list of one kind of object, and the open ones of one object. Whoever ends a trouble looks
-- for them too, once per instance, so a storm of incidents must not make that slow.
create index incidents_of_type on incidents (object_type, tenant_id, state, last_seen desc, incident_id desc);
create index incidents_of_object on incidents (object_id, object_type, tenant_id) where state = 'open';

-- A group's queue, oldest first.
alter table onboarding_review_task add column opened_at timestamptz not null default cs_now();
create index onboarding_review_task_queue on onboarding_review_task (group_name, tenant_id, opened_at, work_item_id)
    where not closed;
