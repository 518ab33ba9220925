-- name: list_disagreeing_pairs
-- Strongly coupled items and instances of the same cycle, both quiet for a while, of which one has ended and the other not.
select i.tenant_id, i.work_item_id::text as work_item_id, w.status as item_status, i.instance_id, i.status as instance_status,
       w.cycle, greatest(i.since, w.updated_at) as since
from work_item_instances i
join work_items w on w.tenant_id = i.tenant_id and w.id = i.work_item_id
where w.coupling = 'strong' and i.cycle = w.cycle
  and i.since < cs_now() - :older_than::interval and w.updated_at < cs_now() - :older_than::interval
  and ((i.status = 'completed' and w.closed_at is null) or (i.status = 'running' and w.closed_at is not null))
order by i.tenant_id, i.work_item_id, i.instance_id
limit :page_size;

-- name: list_agreeing_incidents
-- Open incidents of pairs that agree again.
select n.tenant_id, n.incident_id
from incidents n
where n.kind = 'coupling-disagreement' and n.state = 'open' and not exists (
    select from work_item_instances i
    join work_items w on w.tenant_id = i.tenant_id and w.id = i.work_item_id
    where i.tenant_id = n.tenant_id and i.work_item_id::text = n.object_id and i.cycle = w.cycle and w.coupling = 'strong'
      and ((i.status = 'completed' and w.closed_at is null) or (i.status = 'running' and w.closed_at is not null)));
