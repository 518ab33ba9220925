-- The reconciler looks at what lives only: open items, running instances. What has ended grows for ever.

create index work_items_live on work_items (tenant_id, id) where closed_at is null and coupling = 'strong';
create index work_item_instances_running on work_item_instances (tenant_id, work_item_id) where status = 'running';
drop index work_item_instances_ended;
