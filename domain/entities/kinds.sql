-- name: find_kinds
-- What tenants have decided about the wanted types; a type that nobody described has no row.
select k.tenant_id, k.entity_type, k.stage_field, k.status_field, k.managed_since, k.sensitive_fields
from unnest(:tenant_ids::text[], :entity_types::text[]) as w (tenant_id, entity_type)
cross join lateral (
    select * from entity_types t where t.tenant_id = w.tenant_id and t.entity_type = w.entity_type offset 0) k;

-- name: list_kinds
-- A page of a tenant's described types.
select entity_type, stage_field, status_field, managed_since, sensitive_fields, updated_at, updated_by
from entity_types
where tenant_id = :tenant_id and (:after::text is null or entity_type > :after)
order by entity_type
limit :page_size;

-- name: put_kind^
-- Describe a type. It stays managed since when it was, as long as it is; without a list of sensitive fields its own stays.
insert into entity_types as known
    (tenant_id, entity_type, stage_field, status_field, managed_since, sensitive_fields, updated_by)
values (:tenant_id, :entity_type, :stage_field, :status_field, case when :managed::boolean then cs_now() end,
        coalesce(:sensitive_fields::text[], '{}'), :updated_by)
on conflict (tenant_id, entity_type) do update
set stage_field = excluded.stage_field, status_field = excluded.status_field,
    managed_since = case when :managed then coalesce(known.managed_since, excluded.managed_since) end,
    sensitive_fields = coalesce(:sensitive_fields, known.sensitive_fields), updated_at = cs_now(), updated_by = excluded.updated_by
returning entity_type, stage_field, status_field, managed_since, sensitive_fields, updated_at, updated_by;
