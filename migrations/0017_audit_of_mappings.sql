-- A mapping that is published or disabled changes the tables of every tenant: it is recorded in the installation's log too
-- (tenant ''), and what stands there of mappings every tenant may read.

alter policy audit_log_api on audit_log
    using (tenant_id = app_tenant() or (tenant_id = '' and object_type = 'case_class'));
alter policy audit_unchained_api on audit_unchained with check (tenant_id = app_tenant() or tenant_id = '');
