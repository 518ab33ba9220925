-- name: list_calendars
select tenant_id, zone, holidays from tenants where tenant_id = any (:tenant_ids::text[]);
