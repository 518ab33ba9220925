-- name: lock_item^
-- The item, locked.
select status, version, event_sequence, history_length, assignee_id
from work_items
where tenant_id = :tenant_id and id = :id
for update;

-- name: move_item!
-- Its new status.
update work_items
set status = :status, version = version + 1, event_sequence = event_sequence + 1, history_length = history_length + 1,
    last_action_at = :at, updated_at = cs_now(), updated_by = :user_id
where tenant_id = :tenant_id and id = :id;

-- name: add_step!
-- One row of history.
insert into work_item_state_history
    (tenant_id, work_item_id, position, from_status, to_status, action, by_user, assignee_id, note, source, occurred_at)
values (:tenant_id, :id, :position, :from_status, :to_status, :action, :user_id, :assignee_id, :note, 'CRM_UI', :at);

-- name: add_event!
-- One event.
insert into outbox_events
    (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers, payload, occurred_at, created_by)
values (:event_id, :tenant_id, :shard, 'work_item', :aggregate_id, :sequence, 'work-items.events.v1', :key,
        'WORK_ITEM_STATUS_CHANGED', :headers, :payload, :at, :user_id);
