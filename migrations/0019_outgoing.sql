-- What leaves the system and what it needs: secrets of tenants, message templates, and notifications inside the application.

-- A secret of a tenant: a name that rules may write, and the number of its newest value. The number never goes back, not even
-- when the secret was removed, so that no old value can be put in a new one's place.
create table tenant_secrets (
    tenant_id  text not null references tenants,
    name       text not null check (name ~ '^[A-Za-z][A-Za-z0-9_]{0,99}$'),
    version    integer not null check (version > 0),
    removed    boolean not null default false,
    created_at timestamptz not null default cs_now(),
    created_by text not null,
    updated_at timestamptz not null default cs_now(),
    updated_by text not null,
    primary key (tenant_id, name)
);

-- Its live values, at most two: the newest, and the one before until receivers have changed over.
create table tenant_secret_values (
    tenant_id  text not null,
    name       text not null,
    version    integer not null,
    sealed     bytea not null,
    -- Null: the newest one.
    live_until timestamptz,
    primary key (tenant_id, name, version),
    foreign key (tenant_id, name) references tenant_secrets
);

-- A message template: its id is the documents' integer as text, or a name. Its words are in its versions, which stay as they are.
create table message_templates (
    tenant_id   text not null references tenants,
    template_id text not null check (template_id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$'),
    version     integer not null check (version > 0),
    removed     boolean not null default false,
    created_at  timestamptz not null default cs_now(),
    updated_at  timestamptz not null default cs_now(),
    primary key (tenant_id, template_id)
);

create table message_template_versions (
    tenant_id   text not null,
    template_id text not null,
    version     integer not null check (version > 0),
    name        text not null check (name <> ''),
    subject     text not null,
    text_body   text not null,
    html_body   text,
    author      text not null,
    reason      text not null default '',
    created_at  timestamptz not null default cs_now(),
    primary key (tenant_id, template_id, version),
    foreign key (tenant_id, template_id) references message_templates
);
create trigger message_template_versions_append_only before update or delete on message_template_versions
    for each row execute function refuse_change();
create trigger message_template_versions_no_truncate before truncate on message_template_versions
    for each statement execute function refuse_change();

-- A notification is its effect's id for one user: made twice, it is there once.
create table notifications (
    tenant_id       text not null references tenants,
    user_id         text not null check (user_id <> ''),
    notification_id uuid not null,
    title           text not null,
    message         text not null,
    priority        text not null check (priority in ('LOW', 'MEDIUM', 'NORMAL', 'HIGH', 'CRITICAL', 'URGENT')),
    action_url      text,
    -- Whom it tells of; a shred deletes it by this.
    subject_id      text,
    created_at      timestamptz not null default cs_now(),
    read_at         timestamptz,
    primary key (tenant_id, user_id, notification_id),
    constraint read_after_creation check (read_at >= created_at)
);
create index notifications_by_time on notifications (user_id, tenant_id, created_at desc, notification_id desc);
create index notifications_unread on notifications (user_id, tenant_id, created_at) where read_at is null;
create index notifications_by_subject on notifications (subject_id, tenant_id) where subject_id is not null;

alter table tenant_secrets enable row level security;
alter table tenant_secrets force row level security;
alter table tenant_secret_values enable row level security;
alter table tenant_secret_values force row level security;
alter table message_templates enable row level security;
alter table message_templates force row level security;
alter table message_template_versions enable row level security;
alter table message_template_versions force row level security;
alter table notifications enable row level security;
alter table notifications force row level security;

grant select, insert, update (version, removed, updated_at, updated_by) on tenant_secrets to cs_api, cs_worker;
grant select, insert, delete, update (live_until) on tenant_secret_values to cs_api, cs_worker;
grant select, insert, update (version, removed, updated_at) on message_templates to cs_api, cs_worker;
grant select, insert on message_template_versions to cs_api, cs_worker;
grant select, update (read_at) on notifications to cs_api;
grant select, insert, delete on notifications to cs_worker;

create policy tenant_secrets_api on tenant_secrets to cs_api using (tenant_id = app_tenant());
create policy tenant_secrets_worker on tenant_secrets to cs_worker using (tenant_id = any (app_tenants()));
create policy tenant_secret_values_api on tenant_secret_values to cs_api using (tenant_id = app_tenant());
create policy tenant_secret_values_worker on tenant_secret_values to cs_worker using (tenant_id = any (app_tenants()));
create policy message_templates_api on message_templates to cs_api using (tenant_id = app_tenant());
create policy message_templates_worker on message_templates to cs_worker using (tenant_id = any (app_tenants()));
create policy message_template_versions_api on message_template_versions to cs_api using (tenant_id = app_tenant());
create policy message_template_versions_worker on message_template_versions to cs_worker using (tenant_id = any (app_tenants()));
create policy notifications_api on notifications to cs_api using (tenant_id = app_tenant());
create policy notifications_worker on notifications to cs_worker using (tenant_id = any (app_tenants()));
