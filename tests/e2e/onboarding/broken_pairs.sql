-- Pairs of item and instance that break what coupling promises, once nothing is on its way; no rows when all is well.
select w.id::text as item, w.status as item_status, w.cycle, i.status as instance_status, i.cycle as instance_cycle, broken.why
from work_items w
left join onboarding_instance i on i.tenant_id = w.tenant_id and i.work_item_id = w.id::text
cross join lateral (values
    (case when i.instance_id is null and w.process = any ($1::text[]) and w.status <> 'draft'
               and w.source not in ('WORKFLOW_ENGINE', 'IMPORT')
          then 'its template names a flow, and no instance began' end),
    (case when i.ended_at is null and w.closed_at is not null and w.status in ('canceled', 'rejected') and i.cycle <= w.cycle
          then 'the item is void, and its instance lives' end),
    (case when i.ended_at is null and w.closed_at is not null and w.coupling = 'strong' and i.cycle <= w.cycle
          then 'the item ended, and its strong instance lives' end),
    (case when i.status = 'COMPLETED' and w.closed_at is null and i.cycle = w.cycle and w.status not in ('draft', 'open')
          then 'the instance completed, and its item is open' end),
    (case when i.cycle > w.cycle then 'the instance is in a cycle that its item has not begun' end),
    (case when i.instance_id <> w.id::text then 'a second instance stands behind the item' end)
) broken (why)
where broken.why is not null and (i.instance_id is not null or broken.why like 'its template%')
order by 1;
