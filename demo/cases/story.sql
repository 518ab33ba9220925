-- name: count_shown$
-- Cases of this run that stand in their table at the newest stored version, once all their snapshots are stored.
select case when (select sum(c.version) from cases c where c.case_id like :run) < :wanted then 0 else (
    select count(*) from cases c
    left join projections.case_plain_incident__v1 i on i.tenant_id = c.tenant_id and i.case_id = c.case_id
    left join projections.case_plain_order_case__v1 o on o.tenant_id = c.tenant_id and o.case_id = c.case_id
    where c.case_id like :run and c.version = coalesce(i.snapshot_version, o.snapshot_version)) end;

-- name: count_orders$
select count(*) from cases where case_id like :run;

-- name: count_filled$
-- Orders at their newest version in the rebuilt table, with the new column.
select count(*) from cases c
join analytics.case_plain_order_case o on o.tenant_id = c.tenant_id and o.case_id = c.case_id
join projections.case_plain_order_case__v2 n on n.tenant_id = c.tenant_id and n.case_id = c.case_id
where c.case_id like :run and n.snapshot_version = c.version and o.warehouse is not null;

-- name: count_rows_of_subject$
-- Rows that still say anything about the subject.
select count(*) from projections.case_plain_order_case__v2
where tenant_id = :tenant_id and subject_id = :subject_id and tombstone is null;

-- name: count_seen$
-- What an analyst sees of the orders.
select count(*) from analytics.case_plain_order_case;
