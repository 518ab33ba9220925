-- name: delete_of_subject!
-- A batch of a subject's entities.
delete from entity_state e
where (e.tenant_id, e.entity_type, e.entity_id) in (
    select s.tenant_id, s.entity_type, s.entity_id from entity_state s
    where s.tenant_id = :tenant_id and s.subject_id = :subject_id
    limit :most);
