-- name: insert_audit_entry!
-- Record one deed.
insert into audit_log (tenant_id, audit_id, actor, action, object_type, object_id, reason, detail)
values (:tenant_id, :audit_id, :actor, :action, :object_type, :object_id, :reason, :detail::text::jsonb);
