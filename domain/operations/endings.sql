-- One statement per kind, each matching on columns alone: joined once, not looked up anew for every open incident.

-- name: close_ended_parkings
-- Open incidents of whose cause nothing is parked any more.
update incidents n
set state = 'resolved', resolved_at = cs_now(), resolved_by = 'system:census', resolution = 'the trouble is over'
where n.state = 'open' and n.kind = 'parked-messages' and n.last_seen < cs_now() - interval '5 seconds' and not exists (
    select from parked_messages p
    where p.group_name = n.object_id and p.fingerprint = n.fingerprint and p.tenant_id = n.tenant_id)
returning n.tenant_id, n.incident_id;

-- name: close_ended_gaps
-- Open incidents of aggregates of which nothing waits any more. The object is group/topic/aggregate; only the last has slashes.
update incidents n
set state = 'resolved', resolved_at = cs_now(), resolved_by = 'system:census', resolution = 'the trouble is over'
where n.state = 'open' and n.kind = 'sequence-gap' and n.last_seen < cs_now() - interval '5 seconds' and not exists (
    select from waiting_messages w
    where w.tenant_id = n.tenant_id and w.group_name = split_part(n.object_id, '/', 1) and w.topic = split_part(n.object_id, '/', 2)
      and w.aggregate = substring(n.object_id from '^[^/]*/[^/]*/(.*)$'))
returning n.tenant_id, n.incident_id;

-- name: close_ended_stops
-- Open incidents of groups that run again.
update incidents n
set state = 'resolved', resolved_at = cs_now(), resolved_by = 'system:census', resolution = 'the trouble is over'
where n.state = 'open' and n.kind = 'group-stopped' and n.last_seen < cs_now() - interval '5 seconds' and not exists (
    select from consumer_groups g where g.group_name = n.object_id and g.state = 'stopped')
returning n.tenant_id, n.incident_id;

-- name: close_incidents
-- Open incidents of the system about these objects, which somebody has just mended.
update incidents
set state = 'resolved', resolved_at = cs_now(), resolved_by = :actor, resolution = :resolution
where tenant_id = '' and state = 'open' and kind = any (:kinds::text[]) and object_id = any (:object_ids::text[])
returning tenant_id, incident_id;
