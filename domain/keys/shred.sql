-- name: list_unfinished
-- Shreds whose last step is not done, oldest first.
select s.tenant_id, s.subject_id, s.shred_id, s.ordered_at, s.requested_by, s.reason from shredded_subjects s
where s.purged_at is null order by s.ordered_at limit :most;

-- name: list_lately_purged
-- Shreds that ended within so many seconds.
select s.tenant_id, s.subject_id, s.shred_id, s.ordered_at, s.requested_by, s.reason from shredded_subjects s
where s.purged_at > cs_now() - make_interval(secs => :seconds) order by s.purged_at;

-- name: note_destroyed!
-- The wrapped keys are gone, these many in this round.
update shredded_subjects set keys_destroyed = keys_destroyed + :keys,
       keys_destroyed_at = coalesce(keys_destroyed_at, cs_now())
where tenant_id = :tenant_id and subject_id = :subject_id and (:keys > 0 or keys_destroyed_at is null);

-- name: note_purged!
-- Add a batch's rows to the report.
update shredded_subjects s set purged = s.purged || (
    select jsonb_object_agg(n.name, coalesce((s.purged ->> n.name)::bigint, 0) + n.rows)
    from unnest(:names::text[], :rows::bigint[]) as n (name, rows))
where s.tenant_id = :tenant_id and s.subject_id = :subject_id;

-- name: finish!
-- Nothing is left; only the first to say so does.
update shredded_subjects set purged_at = cs_now()
where tenant_id = :tenant_id and subject_id = :subject_id and purged_at is null;

-- name: find_shred^
select s.* from shredded_subjects s where s.tenant_id = :tenant_id and s.subject_id = :subject_id;
