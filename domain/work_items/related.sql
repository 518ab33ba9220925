-- name: insert_relations!
-- What new items are about.
insert into work_item_relations (tenant_id, entity_type, entity_id, work_item_id)
select * from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[], :ids::uuid[])
    as r (tenant_id, entity_type, entity_id, work_item_id)
order by r.tenant_id, r.entity_type, r.entity_id, r.work_item_id;

-- name: find_last_actions
-- When an item about each of these entities was last acted upon; an entity without items has no row.
select w.tenant_id, w.entity_type, w.entity_id, l.last_action_at
from unnest(:tenant_ids::text[], :entity_types::text[], :entity_ids::text[]) as w (tenant_id, entity_type, entity_id)
cross join lateral (
    select max(i.last_action_at) as last_action_at
    from work_item_relations r
    join work_items i on i.tenant_id = r.tenant_id and i.id = r.work_item_id
    where r.tenant_id = w.tenant_id and r.entity_type = w.entity_type and r.entity_id = w.entity_id) l
where l.last_action_at is not null;
