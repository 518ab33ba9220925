-- name: lock_work_items
-- Lock the wanted items, in the one order that every writer uses; what decisions need of them, and of the wanted assignees.
select w.tenant_id, w.id::text as id, w.status, w.version, w.event_sequence, w.history_length, w.cycle, w.coupling, w.priority,
       w.process, w.request_type, w.activity_area, w.business_group, w.scope, w.due_at, w.assignee_id, w.occurred_at,
       w.last_action_at, w.closed_at, u.active as assignee_active, cs_now() as now
from (select * from unnest(:tenant_ids::text[], :ids::uuid[], :assignee_ids::text[]) as t (tenant_id, id, assignee_id)
      order by tenant_id, id) wanted
-- From the keys to the items, one by one: before the table's first analysis the planner would read all of a tenant's items.
cross join lateral (
    select * from work_items i where i.tenant_id = wanted.tenant_id and i.id = wanted.id for update) w
left join lateral (
    select u.active from users u where u.tenant_id = wanted.tenant_id and u.user_id = wanted.assignee_id offset 0) u on true;

-- name: lock_work_item
-- lock_work_items for one item, the common click: it costs the server half. No user has the id '': with a null in its place
-- the look-up would fold away, each plan of its own would seem cheaper than the kept one, and each click would be planned anew.
select w.tenant_id, w.id::text as id, w.status, w.version, w.event_sequence, w.history_length, w.cycle, w.coupling, w.priority,
       w.process, w.request_type, w.activity_area, w.business_group, w.scope, w.due_at, w.assignee_id, w.occurred_at,
       w.last_action_at, w.closed_at,
       (select u.active from users u
        where u.tenant_id = w.tenant_id and u.user_id = coalesce(:assignee_id::text, '')) as assignee_active,
       cs_now() as now
from work_items w
where w.tenant_id = :tenant_id and w.id = :id::uuid
for update of w;

-- Rows arrive as one JSON array, not as an array per column: unnest makes a tuplestore of each of its arguments, and thirty of
-- them were a quarter of the server's time for a single action. Texts without NUL, ids, codes and ISO times lose nothing in JSON.

-- name: insert_work_items$
-- New items with their history; how many are new. One whose id is taken is left out, its history too.
with new_items as (
    insert into work_items
        (tenant_id, id, status, version, event_sequence, history_length, cycle, coupling, title, description, note,
         request_type, activity_area, business_group, process, priority, scope, due_at, assignee_id, follower_ids, source,
         occurred_at, last_action_at, closed_at, created_by, updated_by)
    select i.tenant_id, i.id, i.status, i.version, i.event_sequence, i.history_length, i.cycle, i.coupling, i.title,
           i.description, i.note, i.request_type, i.activity_area, i.business_group, i.process, i.priority, i.scope, i.due_at,
           i.assignee_id, i.follower_ids, i.source, i.occurred_at, i.last_action_at, i.closed_at, i.created_by, i.updated_by
    from jsonb_to_recordset(:items::jsonb)
         as i (tenant_id text, id uuid, status text, version bigint, event_sequence bigint, history_length integer,
               cycle integer, coupling text, title text, description text, note text, request_type text, activity_area text,
               business_group text, process text, priority text, scope text, due_at timestamptz, assignee_id text,
               follower_ids text[], source text, occurred_at timestamptz, last_action_at timestamptz, closed_at timestamptz,
               created_by text, updated_by text)
    order by i.tenant_id, i.id
    on conflict (tenant_id, id) do nothing
    returning tenant_id, id
), told as (
    insert into work_item_state_history
        (tenant_id, work_item_id, position, from_status, to_status, action, by_user, assignee_id, note, source, occurred_at)
    select h.tenant_id, h.id, h.position, h.from_status, h.to_status, h.action, h.by_user, h.assignee_id, h.note, h.source,
           h.occurred_at
    from jsonb_to_recordset(:steps::jsonb)
         as h (tenant_id text, id uuid, position integer, from_status text, to_status text, action text, by_user text,
               assignee_id text, note text, source text, occurred_at timestamptz)
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
    from jsonb_to_recordset(:items::jsonb)
         as i (tenant_id text, id uuid, loaded bigint, status text, version bigint, event_sequence bigint,
               history_length integer, cycle integer, assignee_id text, last_action_at timestamptz, closed_at timestamptz,
               updated_by text)
    where w.tenant_id = i.tenant_id and w.id = i.id and w.version = i.loaded
    returning w.tenant_id, w.id
), told as (
    insert into work_item_state_history
        (tenant_id, work_item_id, position, from_status, to_status, action, by_user, assignee_id, note, source, occurred_at)
    select h.tenant_id, h.id, h.position, h.from_status, h.to_status, h.action, h.by_user, h.assignee_id, h.note, h.source,
           h.occurred_at
    from jsonb_to_recordset(:steps::jsonb)
         as h (tenant_id text, id uuid, position integer, from_status text, to_status text, action text, by_user text,
               assignee_id text, note text, source text, occurred_at timestamptz)
    join moved using (tenant_id, id)
)
select count(*) from moved;

-- name: update_work_item$
-- update_work_items for one item and one step, the common click: without JSON it costs the server a quarter less.
with moved as (
    update work_items
    set status = :status, version = :version, event_sequence = :event_sequence, history_length = :history_length,
        cycle = :cycle, assignee_id = :assignee_id, last_action_at = :last_action_at, closed_at = :closed_at,
        updated_at = cs_now(), updated_by = :updated_by
    where tenant_id = :tenant_id and id = :id::uuid and version = :loaded
    returning tenant_id, id, history_length, status, updated_by, assignee_id, last_action_at
), told as (
    insert into work_item_state_history
        (tenant_id, work_item_id, position, from_status, to_status, action, by_user, assignee_id, note, source, occurred_at)
    select tenant_id, id, history_length, :from_status::text, status, :action::text, updated_by, assignee_id, :note::text,
           :source::text, last_action_at
    from moved
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
