-- name: find_case_definition$
-- The schema of a tenant's version.
select data_schema from flw_case_def where tenant_id = :tenant_id and name = :name and version = :version;

-- name: insert_case_definitions$
-- Versions that are not there yet; how many were not.
with made as (
    insert into flw_case_def (tenant_id, name, version, data_schema, created_by)
    select d.tenant_id, d.name, d.version, d.data_schema, :by
    from unnest(:tenant_ids::text[], :names::text[], :versions::integer[], :schemas::text[])
         as d (tenant_id, name, version, data_schema)
    on conflict do nothing
    returning 1
)
select count(*) from made;
