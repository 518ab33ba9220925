-- A pair can disagree in two ways only, and each has one side that lives: the open item of an ended instance, the running
-- instance of an ended item. Each way is walked on the partial index of the living side, page after page.

-- name: find_end_of_open_items$
-- Where the page of open items after an id ends; null behind the last.
select id from (
    select id from work_items
    where tenant_id = :tenant_id and closed_at is null and coupling = 'strong' and id > :after::uuid
    order by id limit :page_size) page
order by id desc limit 1;

-- name: list_open_items_of_ended_instances
-- Of the open items of a page: those with a completed instance of the same cycle, both quiet for a while.
select w.tenant_id, w.id::text as work_item_id, w.status as item_status, i.instance_id, i.status as instance_status,
       w.cycle, greatest(i.since, w.updated_at) as since
from work_items w
cross join lateral (
    select n.instance_id, n.status, n.since from work_item_instances n
    where n.tenant_id = w.tenant_id and n.work_item_id = w.id and n.cycle = w.cycle and n.status = 'completed'
      and n.since < cs_now() - :older_than::interval
    offset 0) i
where w.tenant_id = :tenant_id and w.closed_at is null and w.coupling = 'strong' and w.id > :after::uuid and w.id <= :upto::uuid
  and w.updated_at < cs_now() - :older_than::interval
order by w.id, i.instance_id;

-- name: find_end_of_running_instances$
-- Where the page of running instances after an item's id ends; null behind the last.
select work_item_id from (
    select work_item_id from work_item_instances
    where tenant_id = :tenant_id and status = 'running' and work_item_id > :after::uuid
    order by work_item_id limit :page_size) page
order by work_item_id desc limit 1;

-- name: list_running_instances_of_ended_items
-- Of the running instances of a page: those whose item has ended in the same cycle, both quiet for a while.
select i.tenant_id, i.work_item_id::text as work_item_id, w.status as item_status, i.instance_id, i.status as instance_status,
       w.cycle, greatest(i.since, w.updated_at) as since
from work_item_instances i
cross join lateral (
    select n.status, n.cycle, n.updated_at from work_items n
    where n.tenant_id = i.tenant_id and n.id = i.work_item_id and n.cycle = i.cycle and n.coupling = 'strong'
      and n.closed_at is not null and n.updated_at < cs_now() - :older_than::interval
    offset 0) w
where i.tenant_id = :tenant_id and i.status = 'running' and i.work_item_id > :after::uuid and i.work_item_id <= :upto::uuid
  and i.since < cs_now() - :older_than::interval
order by i.work_item_id, i.instance_id;

-- name: list_agreeing_incidents
-- Open incidents of pairs that agree again. An object that is no id of an item has no pair.
select n.tenant_id, n.incident_id
from incidents n
cross join lateral (
    select case when n.object_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then n.object_id::uuid end as id) item
left join lateral (
    select true as found from work_item_instances i
    join work_items w on w.tenant_id = i.tenant_id and w.id = i.work_item_id
    where i.tenant_id = n.tenant_id and i.work_item_id = item.id and i.cycle = w.cycle and w.coupling = 'strong'
      and ((i.status = 'completed' and w.closed_at is null) or (i.status = 'running' and w.closed_at is not null))
    limit 1) pair on true
where n.tenant_id = :tenant_id and n.kind = 'coupling-disagreement' and n.state = 'open' and pair.found is null
order by n.incident_id
limit :page_size;
