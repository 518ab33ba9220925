-- The rows of one action in a single statement: what PostgreSQL itself can do. The tenant is set for the whole connection.
\set n random(1, :items)
with item as (
    select w.* from work_items w
    where w.tenant_id = 'bench' and w.id = ('00000000-0000-7000-8000-' || lpad(:n::text, 12, '0'))::uuid
    for update
), moved as (
    update work_items w
    set status = case w.status when 'in_progress' then 'waiting_customer' else 'in_progress' end, version = w.version + 1,
        event_sequence = w.event_sequence + 1, history_length = w.history_length + 1, last_action_at = cs_now(),
        updated_at = cs_now(), updated_by = 'an'
    from item where w.tenant_id = item.tenant_id and w.id = item.id
    returning w.tenant_id, w.id, w.history_length, w.status, w.event_sequence, item.status as from_status
), told as (
    insert into work_item_state_history
        (tenant_id, work_item_id, position, from_status, to_status, action, by_user, note, source, occurred_at)
    select tenant_id, id, history_length, from_status, status, 'SetWaitingCustomer', 'an', 'A note of usual length.', 'CRM_UI',
           cs_now()
    from moved
)
insert into outbox_events
    (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers, payload, occurred_at,
     created_by)
select gen_random_uuid(), 'bench', :n % 16, 'work_item', id::text, event_sequence, 'work-items.events.v1',
       convert_to('bench|work_item|' || id, 'UTF8'), 'WORK_ITEM_STATUS_CHANGED', convert_to(repeat('h', :headers), 'UTF8'),
       convert_to(repeat('p', :payload), 'UTF8'), cs_now(), 'an'
from moved;
