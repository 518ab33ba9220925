-- The rows of one action in the round trips of the command function: begin with the tenant, lock, write, outbox, commit.
\set n random(1, :items)
\startpipeline
begin;
select set_config('app.tenant', 'bench', true);
\endpipeline
select w.status, w.version, w.event_sequence, w.history_length, w.cycle, w.coupling, w.priority, w.process, w.request_type,
       w.activity_area, w.business_group, w.scope, w.due_at, w.assignee_id, w.occurred_at, w.last_action_at, w.closed_at,
       u.active, cs_now() as now
from work_items w left join users u on u.tenant_id = w.tenant_id and u.user_id = w.assignee_id
where w.tenant_id = 'bench' and w.id = ('00000000-0000-7000-8000-' || lpad(:n::text, 12, '0'))::uuid
for update of w \gset item_
with moved as (
    update work_items
    set status = case :item_status when 'in_progress' then 'waiting_customer' else 'in_progress' end, version = version + 1,
        event_sequence = event_sequence + 1, history_length = history_length + 1, last_action_at = :item_now::timestamptz,
        updated_at = cs_now(), updated_by = 'an'
    where tenant_id = 'bench' and id = ('00000000-0000-7000-8000-' || lpad(:n::text, 12, '0'))::uuid
      and version = :item_version::bigint
    returning tenant_id, id, history_length, status
), told as (
    insert into work_item_state_history
        (tenant_id, work_item_id, position, from_status, to_status, action, by_user, note, source, occurred_at)
    select tenant_id, id, history_length, :item_status, status, 'SetWaitingCustomer', 'an', 'A note of usual length.', 'CRM_UI',
           :item_now::timestamptz
    from moved
)
select count(*) from moved;
insert into outbox_events
    (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers, payload, occurred_at,
     created_by)
values (gen_random_uuid(), 'bench', :n % 16, 'work_item', '00000000-0000-7000-8000-' || lpad(:n::text, 12, '0'),
        :item_event_sequence::bigint + 1, 'work-items.events.v1',
        convert_to('bench|work_item|00000000-0000-7000-8000-' || lpad(:n::text, 12, '0'), 'UTF8'), 'WORK_ITEM_STATUS_CHANGED',
        convert_to(repeat('h', :headers), 'UTF8'), convert_to(repeat('p', :payload), 'UTF8'), :item_now::timestamptz, 'an');
commit;
