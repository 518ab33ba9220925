-- name: lock_work_items
-- Lock the wanted items, in the one order that every writer uses; what decisions need of them, and of the wanted assignees.
select w.tenant_id, w.id::text as id, w.status, w.version, w.event_sequence, w.history_length, w.cycle, w.coupling, w.priority,
       w.process, w.request_type, w.activity_area, w.business_group, w.scope, w.due_at, w.assignee_id, w.occurred_at,
       w.last_action_at, w.closed_at, u.active as assignee_active, cs_now() as now
from unnest(:tenant_ids::text[], :ids::uuid[], :assignee_ids::text[]) as wanted (tenant_id, id, assignee_id)
join work_items w on w.tenant_id = wanted.tenant_id and w.id = wanted.id
left join users u on u.tenant_id = wanted.tenant_id and u.user_id = wanted.assignee_id
order by w.tenant_id, w.id
for update of w;

-- name: insert_work_items$
-- New items with their history; how many are new. One whose id is taken is left out, its history too.
with new_items as (
    insert into work_items
        (tenant_id, id, status, version, event_sequence, history_length, cycle, coupling, title, description, note,
         request_type, activity_area, business_group, process, priority, scope, due_at, assignee_id, follower_ids, source,
         occurred_at, last_action_at, closed_at, created_by, updated_by)
    select i.tenant_id, i.id, i.status, i.version, i.event_sequence, i.history_length, i.cycle, i.coupling, i.title,
           i.description, i.note, i.request_type, i.activity_area, i.business_group, i.process, i.priority, i.scope, i.due_at,
           i.assignee_id, array(select jsonb_array_elements_text(i.follower_ids::jsonb)), i.source, i.occurred_at, i.last_action_at, i.closed_at, i.created_by,
           i.updated_by
    from unnest(:tenant_ids::text[], :ids::uuid[], :statuses::text[], :versions::bigint[], :event_sequences::bigint[],
                :history_lengths::integer[], :cycles::integer[], :couplings::text[], :titles::text[], :descriptions::text[],
                :notes::text[], :request_types::text[], :activity_areas::text[], :business_groups::text[], :processes::text[],
                :priorities::text[], :scopes::text[], :due_at::timestamptz[], :assignee_ids::text[], :follower_ids::text[],
                :sources::text[], :occurred_at::timestamptz[], :last_action_at::timestamptz[], :closed_at::timestamptz[],
                :created_by::text[], :updated_by::text[])
         as i (tenant_id, id, status, version, event_sequence, history_length, cycle, coupling, title, description, note,
               request_type, activity_area, business_group, process, priority, scope, due_at, assignee_id, follower_ids,
               source, occurred_at, last_action_at, closed_at, created_by, updated_by)
    order by i.tenant_id, i.id
    on conflict (tenant_id, id) do nothing
    returning tenant_id, id
), told as (
    insert into work_item_state_history
        (tenant_id, work_item_id, position, from_status, to_status, action, by_user, assignee_id, note, source, occurred_at)
    select h.tenant_id, h.id, h.position, h.from_status, h.to_status, h.action, h.by_user, h.assignee_id, h.note, h.source,
           h.occurred_at
    from unnest(:step_tenant_ids::text[], :step_ids::uuid[], :step_positions::integer[], :step_from::text[], :step_to::text[],
                :step_actions::text[], :step_by::text[], :step_assignees::text[], :step_notes::text[], :step_sources::text[],
                :step_at::timestamptz[])
         as h (tenant_id, id, position, from_status, to_status, action, by_user, assignee_id, note, source, occurred_at)
    join new_items using (tenant_id, id)
)
select count(*) from new_items;

-- name: update_work_items$
-- Where actions left the items, with their history; how many were still at the loaded version.
with moved as (
    update work_items w
    set status = i.status, version = i.version, event_sequence = i.event_sequence, history_length = i.history_length,
        cycle = i.cycle, assignee_id = i.assignee_id, last_action_at = i.last_action_at, closed_at = i.closed_at,
        updated_at = cs_now(), updated_by = i.updated_by
    from unnest(:tenant_ids::text[], :ids::uuid[], :loaded::bigint[], :statuses::text[], :versions::bigint[],
                :event_sequences::bigint[], :history_lengths::integer[], :cycles::integer[], :assignee_ids::text[],
                :last_action_at::timestamptz[], :closed_at::timestamptz[], :updated_by::text[])
         as i (tenant_id, id, loaded, status, version, event_sequence, history_length, cycle, assignee_id, last_action_at,
               closed_at, updated_by)
    where w.tenant_id = i.tenant_id and w.id = i.id and w.version = i.loaded
    returning w.tenant_id, w.id
), told as (
    insert into work_item_state_history
        (tenant_id, work_item_id, position, from_status, to_status, action, by_user, assignee_id, note, source, occurred_at)
    select h.tenant_id, h.id, h.position, h.from_status, h.to_status, h.action, h.by_user, h.assignee_id, h.note, h.source,
           h.occurred_at
    from unnest(:step_tenant_ids::text[], :step_ids::uuid[], :step_positions::integer[], :step_from::text[], :step_to::text[],
                :step_actions::text[], :step_by::text[], :step_assignees::text[], :step_notes::text[], :step_sources::text[],
                :step_at::timestamptz[])
         as h (tenant_id, id, position, from_status, to_status, action, by_user, assignee_id, note, source, occurred_at)
    join moved using (tenant_id, id)
)
select count(*) from moved;

-- name: update_fields$
-- Fields of one item that change without the state machine (WI-5), by their names in `fields`; its version if it was loaded.
update work_items w
set title          = case when 'title' = any (:fields::text[]) then :title::text else w.title end,
    description    = case when 'description' = any (:fields) then :description::text else w.description end,
    note           = case when 'note' = any (:fields) then :note::text else w.note end,
    request_type   = case when 'request_type' = any (:fields) then :request_type::text else w.request_type end,
    activity_area  = case when 'activity_area' = any (:fields) then :activity_area::text else w.activity_area end,
    business_group = case when 'business_group' = any (:fields) then :business_group::text else w.business_group end,
    process        = case when 'process' = any (:fields) then :process::text else w.process end,
    priority       = case when 'priority' = any (:fields) then :priority::text else w.priority end,
    scope          = case when 'scope' = any (:fields) then :scope::text else w.scope end,
    due_at         = case when 'due_at' = any (:fields) then :due_at::timestamptz else w.due_at end,
    assignee_id    = case when 'assignee_id' = any (:fields) then :assignee_id::text else w.assignee_id end,
    follower_ids   = case when 'follower_ids' = any (:fields) then :follower_ids::text[] else w.follower_ids end,
    coupling = :coupling, version = w.version + 1, event_sequence = :event_sequence, updated_at = cs_now(), updated_by = :updated_by
where w.tenant_id = :tenant_id and w.id = :id::uuid and w.version = :loaded
returning w.version;

-- name: insert_comment^
-- A comment on an item that exists; no row when there is none.
insert into work_item_comments (tenant_id, work_item_id, comment_id, body, by_user, source)
select w.tenant_id, w.id, :comment_id::uuid, :body::text, :by_user::text, :source::text
from work_items w
where w.tenant_id = :tenant_id and w.id = :id::uuid
returning comment_id::text, body, by_user, source, created_at;

-- name: record_instances!
-- The newest word of each coupled instance; news of an older cycle than the known one is old news.
insert into work_item_instances as known (tenant_id, work_item_id, instance_id, status, cycle)
select i.tenant_id, i.id, i.instance_id, i.status, i.cycle
from unnest(:tenant_ids::text[], :ids::uuid[], :instance_ids::text[], :statuses::text[], :cycles::integer[])
     as i (tenant_id, id, instance_id, status, cycle)
order by i.tenant_id, i.id, i.instance_id
on conflict (tenant_id, work_item_id, instance_id) do update
set status = excluded.status, cycle = excluded.cycle, since = cs_now()
where known.cycle <= excluded.cycle and (known.status, known.cycle) is distinct from (excluded.status, excluded.cycle);
