-- name: list_accesses
-- Who viewed or changed data of persons, latest first.
select audit_id::text as access_id, at, actor, action, object_type, object_id, reason, detail ->> 'subject' as subject_id,
       detail -> 'fields' as fields
from audit_log
where tenant_id = :tenant_id and detail ? 'subject'
  and (:at::timestamptz is null or (at, audit_id) < (:at::timestamptz, :access_id::uuid))
order by at desc, audit_id desc limit :size;

-- name: list_accesses_of
-- The same of one person.
select audit_id::text as access_id, at, actor, action, object_type, object_id, reason, detail ->> 'subject' as subject_id,
       detail -> 'fields' as fields
from audit_log
where tenant_id = :tenant_id and detail ? 'subject' and detail ->> 'subject' = :subject_id
  and (:at::timestamptz is null or (at, audit_id) < (:at::timestamptz, :access_id::uuid))
order by at desc, audit_id desc limit :size;
