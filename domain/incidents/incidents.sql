-- name: upsert_incidents!
-- Open incidents in one order; an open one of the same identity is counted and takes the newer text.
insert into incidents as known
    (tenant_id, incident_id, kind, fingerprint, object_type, object_id, summary, cure, detail, seen_count)
select i.tenant_id, i.incident_id, i.kind, i.fingerprint, i.object_type, i.object_id, i.summary, i.cure, i.detail::jsonb, i.seen_count
from unnest(:tenant_ids::text[], :incident_ids::uuid[], :kinds::text[], :fingerprints::text[], :object_types::text[],
            :object_ids::text[], :summaries::text[], :cures::text[], :details::text[], :counts::bigint[])
     with ordinality as i (tenant_id, incident_id, kind, fingerprint, object_type, object_id, summary, cure, detail, seen_count,
                           position)
order by i.position
on conflict (tenant_id, kind, fingerprint, object_type, object_id) where state = 'open'
do update set seen_count = known.seen_count + excluded.seen_count,
              last_seen  = cs_now(),
              summary    = excluded.summary,
              cure       = excluded.cure,
              detail     = excluded.detail;

-- name: find_open_incident$
-- The id of the open incident with this identity.
select incident_id
from incidents
where tenant_id = :tenant_id and kind = :kind and fingerprint = :fingerprint
  and object_type = :object_type and object_id = :object_id and state = 'open';

-- name: list_incidents
-- One page by newest sighting, keyset on (last_seen, incident_id); null filters match everything.
select tenant_id, incident_id, kind, fingerprint, object_type, object_id, summary, cure, state, first_seen, last_seen,
       seen_count, resolved_at, resolved_by, resolution, detail::text as detail
from incidents
where (:tenant_id::text is null or tenant_id = :tenant_id)
  and (:state::text is null or state = :state)
  and (:kind::text is null or kind = :kind)
  and (:before_seen::timestamptz is null or (last_seen, incident_id) < (:before_seen, :before_id::uuid))
order by last_seen desc, incident_id desc
limit :page_size;

-- name: find_incident^
-- One incident of a tenant ('' is the system's), or of any tenant that the caller may see when none is named.
select tenant_id, incident_id, kind, fingerprint, object_type, object_id, summary, cure, state, first_seen, last_seen,
       seen_count, resolved_at, resolved_by, resolution, detail::text as detail
from incidents
where incident_id = :incident_id and (:tenant_id::text is null or tenant_id = :tenant_id);

-- name: resolve_incidents
-- Close what is open among these; the ids that were.
update incidents
set state = 'resolved', resolved_at = cs_now(), resolved_by = :resolved_by, resolution = :resolution
where incident_id = any (:incident_ids::uuid[]) and (:tenant_id::text is null or tenant_id = :tenant_id) and state = 'open'
returning tenant_id, incident_id;


-- name: resolve_of_objects!
-- What these objects were in trouble for is over, without a person.
update incidents i set state = 'resolved', resolved_at = cs_now(), resolved_by = :resolved_by, resolution = 'it went on'
from unnest(:tenant_ids::text[], :kinds::text[], :object_types::text[], :object_ids::text[])
     as w (tenant_id, kind, object_type, object_id)
where i.tenant_id = w.tenant_id and i.kind = w.kind and i.object_type = w.object_type and i.object_id = w.object_id
  and i.state = 'open';
