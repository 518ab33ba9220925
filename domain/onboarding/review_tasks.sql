-- name: find_task^
-- A review task with its work item, which may not be there yet, and whether these persons belong to its group.
select t.tenant_id, t.work_item_id, t.instance_id, t.task, t.group_name, t.closed, t.opened_at, i.user_id, i.flow,
       i.flow_version, i.current_state, w.status as item_status, w.assignee_id, w.version as item_version,
       array(select m.user_id from team_members m join teams g on g.tenant_id = m.tenant_id and g.team_id = m.team_id
             where m.tenant_id = t.tenant_id and m.team_id = t.group_name and g.active
               and m.user_id = any (:persons::text[])) as members
from onboarding_review_task t
join onboarding_instance i on i.tenant_id = t.tenant_id and i.instance_id = t.instance_id
left join work_items w on w.tenant_id = t.tenant_id and w.id = t.work_item_id::uuid
where t.tenant_id = :tenant_id and t.work_item_id = :work_item_id;

-- name: list_groups
-- The groups of a person.
select m.team_id from team_members m join teams g on g.tenant_id = m.tenant_id and g.team_id = m.team_id
where m.tenant_id = :tenant_id and m.user_id = :user_id and g.active;

-- name: list_queue
-- Open tasks of these groups, oldest first, keyset on (opened_at, work_item_id).
select t.work_item_id, t.instance_id, t.task, t.group_name, t.opened_at, i.flow, i.flow_version, i.current_state,
       w.status as item_status, w.assignee_id, false as closed
from (
    select q.* from unnest(:groups::text[]) as g (group_name)
    cross join lateral (
        select o.tenant_id, o.work_item_id, o.instance_id, o.task, o.group_name, o.opened_at from onboarding_review_task o
        where o.group_name = g.group_name and o.tenant_id = :tenant_id and not o.closed
          and (o.opened_at, o.work_item_id)
              > (coalesce(:after_opened::timestamptz, '-infinity'), coalesce(:after_item::text, ''))
        order by o.opened_at, o.work_item_id limit :size) q
    order by q.opened_at, q.work_item_id limit :size) t
join onboarding_instance i on i.tenant_id = t.tenant_id and i.instance_id = t.instance_id
left join work_items w on w.tenant_id = t.tenant_id and w.id = t.work_item_id::uuid
order by t.opened_at, t.work_item_id;
