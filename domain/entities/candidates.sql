-- name: scan_entities
-- A page of a type's living entities behind an id, with when something was last done about each: its newest related activity,
-- or, before there was any, its creation. At most so many, and so many bytes unless the first alone has more; `fetched`: how
-- many there would be without the limit of bytes.
select e.tenant_id, e.entity_type, e.entity_id, e.entity_values, e.removed, e.version, e.event_sequence, e.subject_id,
       e.created_at, e.changed_at, e.fetched, greatest(a.last_activity_at, e.created_at) as active_at, cs_now() as now
from (select *
      from (select *, count(*) over () as fetched,
                   sum(octet_length(entity_values)) over (order by entity_id) - octet_length(entity_values) as before
            from (select * from entity_state s
                  where s.tenant_id = :tenant_id and s.entity_type = :entity_type and s.entity_id > :after_id and not s.removed
                  order by s.entity_id
                  limit :page_size) fetched) sized
      where before < :page_bytes) e
left join lateral (
    select k.last_activity_at from entity_activities k
    where k.tenant_id = e.tenant_id and k.entity_type = e.entity_type and k.entity_id = e.entity_id
    offset 0) a on true
order by e.entity_id;
