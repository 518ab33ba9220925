-- name: lock_template^
-- The template, held until the transaction ends.
select t.version, t.removed from message_templates t
where t.tenant_id = :tenant_id and t.template_id = :template_id for update;

-- name: insert_template^
-- A template of this id, or nothing when there is one.
insert into message_templates (tenant_id, template_id, version) values (:tenant_id, :template_id, 1)
on conflict do nothing
returning version;

-- name: raise_version!
-- The template has a newer wording, and is there again if it was removed.
update message_templates set version = :version, removed = false, updated_at = cs_now()
where tenant_id = :tenant_id and template_id = :template_id;

-- name: insert_version!
-- A wording, for ever.
insert into message_template_versions (tenant_id, template_id, version, name, subject, text_body, html_body, author, reason)
values (:tenant_id, :template_id, :version, :name, :subject, :text_body, :html_body, :author, :reason);

-- name: remove_template!
-- The template can be chosen no longer; its wordings stay for what names them.
update message_templates set removed = true, updated_at = cs_now()
where tenant_id = :tenant_id and template_id = :template_id;

-- name: list_templates
-- One page of a tenant's templates by id, each with its newest wording.
select t.template_id, t.version, v.name, v.subject, v.author, v.reason, t.created_at, v.created_at as updated_at
from message_templates t
join message_template_versions v using (tenant_id, template_id, version)
where t.tenant_id = :tenant_id and not t.removed and (:after::text is null or t.template_id > :after)
order by t.template_id
limit :page_size;

-- name: list_versions
-- One page of a template's wordings, newest first.
select v.version, v.name, v.subject, v.text_body, v.html_body, v.author, v.reason, v.created_at
from message_template_versions v
where v.tenant_id = :tenant_id and v.template_id = :template_id and v.version < :before
order by v.version desc
limit :page_size;

-- name: find_wordings
-- Of each wanted (id, version) the wording; a version of null is the newest of a template that is not removed.
select t.template_id, t.version as newest, t.removed, t.created_at, v.version, v.name, v.subject, v.text_body, v.html_body,
       v.author, v.reason, v.created_at as updated_at
from unnest(:template_ids::text[], :versions::int[]) as w (template_id, version)
join message_templates t on t.tenant_id = :tenant_id and t.template_id = w.template_id
join message_template_versions v
  on v.tenant_id = t.tenant_id and v.template_id = t.template_id and v.version = coalesce(w.version, t.version)
where w.version is not null or not t.removed;
