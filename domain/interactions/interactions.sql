-- name: insert_interaction!
-- The mapping row, in the transaction that begins the instance.
insert into interactions (tenant_id, interaction_id, process_instance_id, user_id)
values (:tenant_id, :interaction_id, :instance_id, :user_id);

-- name: find_interaction^
-- An interaction as its instance stands, with the sealed case.
select i.interaction_id::text as interaction_id, i.tenant_id, i.user_id, i.case_id as instance_id, i.flow, i.flow_version,
       i.current_state, i.status, i.entry, i.version, coalesce(c.version, 0) as case_version, c.case_data
from flw_int i
left join flw_case c on c.tenant_id = i.tenant_id and c.case_id = i.case_id
where i.tenant_id = :tenant_id and i.interaction_id = :interaction_id;

-- name: list_events_since
-- What happened since a version, latest first, with what persons said, sealed.
select sequence_number, event_type, data
from workflow_event
where tenant_id = :tenant_id and instance_id = :instance_id and sequence_number > :version
  and event_type in ('WORKFLOW_STARTED', 'ACTION_ACCEPTED', 'STEP_COMPLETED', 'REVIEW_DECIDED') and data is not null
order by sequence_number desc limit :most;

-- name: list_versions
-- Where these instances are by now.
select interaction_id::text as interaction_id, version from flw_int
where tenant_id = :tenant_id and interaction_id = any (:interaction_ids::uuid[]);
