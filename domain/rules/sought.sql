-- name: find_receipt$
-- When a group saw an event that has no number.
select received_at from inbox
where tenant_id = :tenant_id and group_name = :group_name and source = :source and event_id = :event_id;
