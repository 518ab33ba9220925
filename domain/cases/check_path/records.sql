-- name: list_newest_records
-- The newest version of each of a class's newest cases that are not removed, as far as they fit into `most_bytes`.
select case_id, version, subject_id, stored_at, snapshot
from (
    select s.case_id, s.version, s.subject_id, s.stored_at, s.snapshot, s.seq,
           sum(octet_length(s.snapshot)) over (order by s.seq desc) as bytes_so_far
    from (
        select s.*
        from sys_case_data_store s
        join cases c on c.tenant_id = s.tenant_id and c.case_id = s.case_id and c.version = s.version
        where s.tenant_id = :tenant_id and s.class_name = :class_name and not s.removed
        order by s.seq desc
        limit :most_records) s) s
where bytes_so_far <= :most_bytes
order by seq desc;

-- name: find_record^
-- The newest version of one case of the class, removed or not.
select s.case_id, s.version, s.subject_id, s.stored_at, s.snapshot
from cases c
join sys_case_data_store s on s.tenant_id = c.tenant_id and s.case_id = c.case_id and s.version = c.version
where c.tenant_id = :tenant_id and c.case_id = :case_id and c.class_name = :class_name and not s.removed;
