-- name: close_ended_incidents
-- Open incidents whose trouble is over: nothing of the cause is parked, nothing of the aggregate waits, the group runs.
update incidents n
set state = 'resolved', resolved_at = cs_now(), resolved_by = 'system:census', resolution = 'the trouble is over'
where n.state = 'open' and n.last_seen < cs_now() - interval '5 seconds' and case n.kind
    when 'parked-messages' then not exists (
        select from parked_messages p
        where p.group_name = n.object_id and p.fingerprint = n.fingerprint and p.tenant_id = n.tenant_id)
    when 'sequence-gap' then not exists (
        select from waiting_messages w where w.group_name || '/' || w.topic || '/' || w.aggregate = n.object_id)
    when 'group-stopped' then not exists (
        select from consumer_groups g where g.group_name = n.object_id and g.state = 'stopped')
    else false end
returning n.tenant_id, n.incident_id, n.kind;

-- name: close_incidents
-- Open incidents of the system about these objects, which somebody has just mended.
update incidents
set state = 'resolved', resolved_at = cs_now(), resolved_by = :actor, resolution = :resolution
where tenant_id = '' and state = 'open' and kind = any (:kinds::text[]) and object_id = any (:object_ids::text[])
returning tenant_id, incident_id;
