-- name: lock_rows
-- Row by row in the order of the keys: starting from the keys holds before the table's first analysis, too.
select r.*
from (select * from unnest(:tenant_ids::text[], :work_item_ids::text[]) as k (tenant_id, work_item_id)
      order by tenant_id, work_item_id) k
cross join lateral (
    select * from projections.work_item_board__v1 b
    where b.tenant_id = k.tenant_id and b.work_item_id = k.work_item_id
    for update) r;

-- name: upsert_rows!
-- Guarded by writer and number: a duplicate or a stale repeat changes nothing.
insert into projections.work_item_board__v1 as t
select r.* from unnest(:rows::projections.work_item_board__v1[]) as r
on conflict (tenant_id, work_item_id) do update set
    (status, priority, assignee_id, request_type, activity_area, business_group, process, scope, due_at, drafted_at, opened_at,
     resolved_at, closed_at, reopen_count, assignment_count, status_since, seconds_draft, seconds_open, seconds_in_progress,
     seconds_waiting_internal, seconds_waiting_customer, seconds_waiting_external, seconds_resolved, last_change_at, version,
     ce_source, ce_sequence)
    = row(excluded.status, excluded.priority, excluded.assignee_id, excluded.request_type, excluded.activity_area,
          excluded.business_group, excluded.process, excluded.scope, excluded.due_at, excluded.drafted_at, excluded.opened_at,
          excluded.resolved_at, excluded.closed_at, excluded.reopen_count, excluded.assignment_count, excluded.status_since,
          excluded.seconds_draft, excluded.seconds_open, excluded.seconds_in_progress, excluded.seconds_waiting_internal,
          excluded.seconds_waiting_customer, excluded.seconds_waiting_external, excluded.seconds_resolved,
          excluded.last_change_at, excluded.version, excluded.ce_source, excluded.ce_sequence)
where t.ce_source <> excluded.ce_source or t.ce_sequence < excluded.ce_sequence;
