-- name: find_case^
-- The head of a case.
select tenant_id, case_id, class_name, subject_id, version, removed, created_at, created_by, updated_at, updated_by
from cases
where tenant_id = :tenant_id and case_id = :case_id;

-- name: find_version^
-- One version, or the latest.
select tenant_id, case_id, class_name, subject_id, version, removed, snapshot
from sys_case_data_store
where tenant_id = :tenant_id and case_id = :case_id and version <= coalesce(:version::bigint, 9223372036854775807)
order by version desc
limit 1;

-- name: find_sealed_head^
-- Whose the version is, and the first bytes of its snapshot, which name the key.
select tenant_id, subject_id, substring(snapshot from 1 for :bytes) as head
from sys_case_data_store
where tenant_id = :tenant_id and case_id = :case_id and version <= coalesce(:version::bigint, 9223372036854775807)
order by version desc
limit 1;

-- name: list_versions
-- A case's versions without their contents, newest first, below `before`.
select version, removed, octet_length(snapshot) as sealed_bytes, stored_at, stored_by, source
from sys_case_data_store
where tenant_id = :tenant_id and case_id = :case_id and version < :before
order by version desc
limit :page_size;

-- name: list_cases
-- A tenant's cases by id, behind `after`.
select case_id, class_name, subject_id, version, removed, created_at, created_by, updated_at, updated_by
from cases
where tenant_id = :tenant_id and case_id > :after
order by case_id
limit :page_size;

-- name: list_cases_of_class
-- The same, of one class.
select case_id, class_name, subject_id, version, removed, created_at, created_by, updated_at, updated_by
from cases
where tenant_id = :tenant_id and class_name = :class_name and case_id > :after
order by case_id
limit :page_size;

-- name: list_cases_of_subject
-- The same, of one subject; a subject has few.
select case_id, class_name, subject_id, version, removed, created_at, created_by, updated_at, updated_by
from cases
where tenant_id = :tenant_id and subject_id = :subject_id and case_id > :after
  and (:class_name::text is null or class_name = :class_name)
order by case_id
limit :page_size;
