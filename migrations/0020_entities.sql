-- Entities: the newest values of what business systems tell us about (RU-13), which types a tenant has given us to manage, and
-- what the publish door has taken.

-- What a tenant has decided about an entity type; without a row the built-in fields hold and the type is its upstream's.
create table entity_types (
    tenant_id     text not null references tenants,
    entity_type   text not null check (entity_type <> ''),
    stage_field   text not null check (stage_field <> ''),
    status_field  text not null check (status_field <> ''),
    -- Commands from this time on are applied here; null: the type is its upstream's.
    managed_since timestamptz,
    updated_at    timestamptz not null default cs_now(),
    updated_by    text not null,
    primary key (tenant_id, entity_type)
);

-- One row per entity, tombstones included. `entity_values` is JSON in bytes: valid JSON may hold \u0000, which no jsonb takes.
create table entity_state (
    tenant_id      text not null references tenants,
    entity_type    text not null check (entity_type <> ''),
    entity_id      text not null check (entity_id <> ''),
    entity_values  bytea not null check (octet_length(entity_values) <= 4194304),
    removed        boolean not null default false,
    -- The upstream's own count, or ours for a managed type; null: nobody counts.
    version        bigint check (version >= 1),
    -- The number of our last event of this entity; 0: we have written none.
    event_sequence bigint not null default 0 check (event_sequence >= 0),
    subject_id     text not null check (subject_id <> ''),
    created_at     timestamptz not null,
    changed_at     timestamptz not null,
    -- Counts writes: who changes a row says which one it has read.
    revision       bigint not null default 1,
    updated_at     timestamptz not null default cs_now(),
    primary key (tenant_id, entity_type, entity_id),
    constraint a_tombstone_has_no_values check (not removed or entity_values = '{}')
) with (fillfactor = 85);
-- They must not tie with the primary key while the table has no statistics (0015).
create index entity_state_by_subject on entity_state (subject_id, tenant_id);

-- When something was last done about an entity: activities and work items that are related to it, never its own changes. A row
-- of its own, because an activity may be known before the entity is, and because it is written by other hands.
create table entity_activities (
    tenant_id        text not null references tenants,
    entity_type      text not null,
    entity_id        text not null,
    last_activity_at timestamptz not null,
    primary key (tenant_id, entity_type, entity_id)
);

-- Which commands to managed entities were decided: for ever, so that an offset moved to the beginning repeats nothing.
create table entity_commands (
    tenant_id   text not null references tenants,
    entity_type text not null,
    entity_id   text not null,
    command_id  text not null,
    -- changed, unchanged, or the code of a refusal.
    outcome     text not null,
    decided_at  timestamptz not null,
    primary key (tenant_id, entity_type, entity_id, command_id)
);

-- What the publish door has taken, by the identity of the event; kept longer than the topic keeps it.
create table published_events (
    tenant_id    text not null references tenants,
    source       text not null,
    event_id     text not null,
    fingerprint  bytea not null,
    published_at timestamptz not null default cs_now(),
    primary key (tenant_id, source, event_id)
);
create index published_events_by_age on published_events (published_at);

-- What a work item is about; actions on it are activity of that entity.
create table work_item_relations (
    tenant_id    text not null,
    entity_type  text not null,
    entity_id    text not null,
    work_item_id uuid not null,
    primary key (tenant_id, entity_type, entity_id, work_item_id),
    foreign key (tenant_id, work_item_id) references work_items
);

alter table work_item_relations enable row level security;
alter table work_item_relations force row level security;
grant select, insert on work_item_relations to cs_api, cs_worker;
create policy work_item_relations_api on work_item_relations to cs_api using (tenant_id = app_tenant());
create policy work_item_relations_worker on work_item_relations to cs_worker using (tenant_id = any (app_tenants()));

alter table entity_types enable row level security;
alter table entity_types force row level security;
alter table entity_state enable row level security;
alter table entity_state force row level security;
alter table entity_activities enable row level security;
alter table entity_activities force row level security;
alter table entity_commands enable row level security;
alter table entity_commands force row level security;
alter table published_events enable row level security;
alter table published_events force row level security;

grant select, insert, update on entity_types to cs_api, cs_worker;
grant select on entity_state to cs_api;
-- A shred deletes, and so does nobody else.
grant select, insert, update, delete on entity_state to cs_worker;
grant select, insert, update on entity_activities to cs_worker;
grant select on entity_activities to cs_api;
grant select, insert on entity_commands to cs_worker;
grant select, insert on published_events to cs_api;
-- Housekeeping removes what is older than the topic.
grant select, delete on published_events to cs_worker;

create policy entity_types_api on entity_types to cs_api using (tenant_id = app_tenant());
create policy entity_types_worker on entity_types to cs_worker using (tenant_id = any (app_tenants()));
create policy entity_state_api on entity_state for select to cs_api using (tenant_id = app_tenant());
create policy entity_state_worker on entity_state to cs_worker using (tenant_id = any (app_tenants()));
create policy entity_activities_api on entity_activities for select to cs_api using (tenant_id = app_tenant());
create policy entity_activities_worker on entity_activities to cs_worker using (tenant_id = any (app_tenants()));
create policy entity_commands_worker on entity_commands to cs_worker using (tenant_id = any (app_tenants()));
create policy published_events_api on published_events to cs_api using (tenant_id = app_tenant());
create policy published_events_worker on published_events to cs_worker using (tenant_id = any (app_tenants()));
