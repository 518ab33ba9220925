-- name: list_incidents
-- Incidents of instances in one state, latest sighting first, keyset on (last_seen, incident_id).
select tenant_id, incident_id, kind, fingerprint, object_id as instance_id, summary, cure, state, first_seen, last_seen,
       seen_count, resolved_at, resolved_by, detail::text as detail
from incidents
where object_type = :object_type and tenant_id = :tenant_id and state = :state
  and (:before_seen::timestamptz is null or (last_seen, incident_id) < (:before_seen, :before_id::uuid))
order by last_seen desc, incident_id desc
limit :size;

-- name: list_open_alike
-- Open incidents of one kind and cause, in one order; what a bulk order is about.
select tenant_id, incident_id, kind, fingerprint, object_id as instance_id, summary, cure, state, first_seen, last_seen,
       seen_count, resolved_at, resolved_by, detail::text as detail
from incidents
where tenant_id = :tenant_id and kind = :kind and fingerprint = :fingerprint and object_type = :object_type
  and state = 'open' and (:after::text is null or object_id > :after)
order by object_id
limit :size;

-- name: list_open_of
-- Open incidents of one instance.
select tenant_id, incident_id, kind, fingerprint, object_id as instance_id, summary, cure, state, first_seen, last_seen,
       seen_count, resolved_at, resolved_by, detail::text as detail
from incidents
where object_id = :instance_id and object_type = :object_type and tenant_id = :tenant_id and state = 'open'
order by last_seen desc;
