-- name: count_live
-- Instances that have not ended, by flow, version, status and state; of very many the first.
with live as (
    select flow, flow_version, status, current_state from onboarding_instance
    where tenant_id = :tenant_id and status = any (:statuses::text[]) limit :most
)
select flow, flow_version, status, current_state as state, count(*) as count from live group by 1, 2, 3, 4 order by 1, 2, 3, 4;

-- name: count_ended
-- What ended within a day, by flow and status.
with ended as (
    select flow, status from onboarding_instance
    where tenant_id = :tenant_id and ended_at > cs_now() - interval '24 hours' limit :most
)
select flow, status, count(*) as count from ended group by 1, 2 order by 1, 2;

-- name: count_recoveries
-- Of each hour of the last day.
select date_trunc('hour', created_at) as hour, count(*) as count,
       count(*) filter (where created_at > cs_now() - interval '1 hour') as latest
from workflow_event
where event_type = 'RECOVERY' and tenant_id = :tenant_id and created_at > cs_now() - interval '24 hours'
group by 1 order by 1;

-- name: count_incidents
-- New ones of each hour of the last day. Whatever was seen first within it was seen last within it too.
select date_trunc('hour', first_seen) as hour, count(*) as count,
       count(*) filter (where first_seen > cs_now() - interval '1 hour') as latest
from incidents
where object_type = :object_type and tenant_id = :tenant_id and state in ('open', 'resolved')
  and last_seen > cs_now() - interval '24 hours' and first_seen > cs_now() - interval '24 hours'
group by 1 order by 1;

-- name: count_troubles
-- Open incidents by what failed; of very many the latest.
with open as (
    select kind, fingerprint from incidents
    where object_type = :object_type and tenant_id = :tenant_id and state = 'open' order by last_seen desc limit :most
)
select kind, fingerprint, count(*) as count from open group by 1, 2 order by 3 desc, 1, 2;

-- name: read_clock$
select cs_now();
