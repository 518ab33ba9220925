-- name: find_work_item^
-- One item with everything that the detail screen shows.
select tenant_id, id::text as id, status, version, cycle, coupling, title, description, note, request_type, activity_area,
       business_group, process, priority, scope, due_at, assignee_id, follower_ids, source, occurred_at, last_action_at,
       closed_at, created_at, created_by, updated_at, updated_by
from work_items
where tenant_id = :tenant_id and id = :id::uuid;

-- The four forms of the list differ in the index that serves them: a form with `is null or` for each filter could use none.

-- name: list_newest
-- One page of a tenant's items, newest first, keyset on (created_at, id); null filters match everything.
select tenant_id, id::text as id, status, version, cycle, coupling, title, request_type, activity_area, business_group, process,
       priority, scope, due_at, assignee_id, source, occurred_at, last_action_at, closed_at, created_at, updated_at
from work_items
where tenant_id = :tenant_id and (created_at, id) < (:before_at, :before_id::uuid)
  and (:status::text is null or status = :status)
  and (:assignee_id::text is null or assignee_id = :assignee_id)
  and (:process::text is null or process = :process)
  and (:priority::text is null or priority = :priority)
  and (:request_type::text is null or request_type = :request_type)
order by created_at desc, id desc
limit :page_size;

-- name: list_by_status
-- As list_newest, of one status.
select tenant_id, id::text as id, status, version, cycle, coupling, title, request_type, activity_area, business_group, process,
       priority, scope, due_at, assignee_id, source, occurred_at, last_action_at, closed_at, created_at, updated_at
from work_items
where tenant_id = :tenant_id and status = :status::text and (created_at, id) < (:before_at, :before_id::uuid)
  and (:assignee_id::text is null or assignee_id = :assignee_id)
  and (:process::text is null or process = :process)
  and (:priority::text is null or priority = :priority)
  and (:request_type::text is null or request_type = :request_type)
order by created_at desc, id desc
limit :page_size;

-- name: list_by_assignee
-- As list_newest, of one assignee.
select tenant_id, id::text as id, status, version, cycle, coupling, title, request_type, activity_area, business_group, process,
       priority, scope, due_at, assignee_id, source, occurred_at, last_action_at, closed_at, created_at, updated_at
from work_items
where tenant_id = :tenant_id and assignee_id = :assignee_id::text and (created_at, id) < (:before_at, :before_id::uuid)
  and (:status::text is null or status = :status)
  and (:process::text is null or process = :process)
  and (:priority::text is null or priority = :priority)
  and (:request_type::text is null or request_type = :request_type)
order by created_at desc, id desc
limit :page_size;

-- name: list_by_process
-- As list_newest, of one process.
select tenant_id, id::text as id, status, version, cycle, coupling, title, request_type, activity_area, business_group, process,
       priority, scope, due_at, assignee_id, source, occurred_at, last_action_at, closed_at, created_at, updated_at
from work_items
where tenant_id = :tenant_id and process = :process::text and (created_at, id) < (:before_at, :before_id::uuid)
  and (:status::text is null or status = :status)
  and (:assignee_id::text is null or assignee_id = :assignee_id)
  and (:priority::text is null or priority = :priority)
  and (:request_type::text is null or request_type = :request_type)
order by created_at desc, id desc
limit :page_size;

-- name: exists_work_item$
-- Whether the tenant has this item.
select true from work_items where tenant_id = :tenant_id and id = :id::uuid;

-- name: list_history
-- One page of an item's state history, oldest first.
select position, from_status, to_status, action, by_user, assignee_id, note, source, occurred_at, created_at
from work_item_state_history
where tenant_id = :tenant_id and work_item_id = :id::uuid and position > :after
order by position
limit :page_size;

-- name: list_comments
-- One page of an item's comments, oldest first; comment ids rise with time.
select comment_id::text as comment_id, body, by_user, source, created_at
from work_item_comments
where tenant_id = :tenant_id and work_item_id = :id::uuid and (:after::uuid is null or comment_id > :after)
order by comment_id
limit :page_size;

-- name: list_statuses
-- Where these items stand; who wants to move one still locks it.
select tenant_id, id::text as id, status
from work_items where tenant_id = any (:tenant_ids::text[]) and id = any (:ids::uuid[]);
