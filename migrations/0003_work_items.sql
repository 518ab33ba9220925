-- Work items, their state history, comments, and what is known of the workflow instances they are coupled with.
-- Columns are only ever added to these tables (trap 62). The rules of the state machine live in domain/work_items;
-- here stand the invariants that hold whatever the code does.

create table work_items (
    tenant_id      text not null references tenants,
    id             uuid not null,
    status         text not null default 'draft' check (status in (
        'draft', 'open', 'in_progress', 'waiting_internal', 'waiting_customer', 'waiting_external', 'resolved',
        'closed', 'canceled', 'rejected', 'archived')),
    -- version: changes of the row, what ETag and expectedVersion name. event_sequence: events sent, one number per event.
    -- history_length: rows of the history, so that positions are gapless. cycle: how often the item was reopened.
    version        bigint not null check (version >= 1),
    event_sequence bigint not null check (event_sequence >= 1),
    history_length integer not null check (history_length >= 1),
    cycle          integer not null default 0 check (cycle >= 0),
    coupling       text not null check (coupling in ('strong', 'loose')),
    title          text not null check (char_length(title) between 1 and 500),
    description    text,
    note           text,
    request_type   text,
    activity_area  text,
    business_group text,
    process        text,
    priority       text not null check (priority in ('low', 'medium', 'high', 'critical')),
    scope          text,
    due_at         timestamptz,
    assignee_id    text,
    follower_ids   text[] not null default '{}' check (cardinality(follower_ids) <= 100),
    source         text not null check (source in ('CRM_UI', 'WORKFLOW_ENGINE', 'RULE', 'KAFKA', 'IMPORT')),
    -- Business time, which an import may date back: when it was created, last acted upon, ended.
    occurred_at    timestamptz not null,
    last_action_at timestamptz not null,
    closed_at      timestamptz,
    -- The database's clock, always.
    created_at     timestamptz not null default cs_now(),
    created_by     text not null,
    updated_at     timestamptz not null default cs_now(),
    updated_by     text not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, assignee_id) references users,
    -- Reopen clears closed_at, Archive keeps it (traps 45, 50, 60).
    constraint closed_at_follows_status
        check ((closed_at is not null) = (status in ('closed', 'canceled', 'rejected', 'archived'))),
    constraint closed_at_after_creation check (closed_at >= occurred_at),
    constraint action_after_creation check (last_action_at >= occurred_at),
    constraint every_history_row_raised_the_version check (version >= history_length)
) with (fillfactor = 85);

create index work_items_newest on work_items (tenant_id, created_at desc, id desc);
create index work_items_by_status on work_items (tenant_id, status, created_at desc, id desc);
create index work_items_by_assignee on work_items (tenant_id, assignee_id, created_at desc, id desc);
create index work_items_by_process on work_items (tenant_id, process, created_at desc, id desc);

-- Append-only: position 1 is Create (from null), each later row begins where its predecessor ended.
create table work_item_state_history (
    tenant_id    text not null,
    work_item_id uuid not null,
    position     integer not null check (position >= 1),
    from_status  text,
    to_status    text not null,
    action       text not null,
    by_user      text not null,
    assignee_id  text,
    note         text,
    source       text not null check (source in ('CRM_UI', 'WORKFLOW_ENGINE', 'RULE', 'KAFKA', 'IMPORT')),
    occurred_at  timestamptz not null,
    created_at   timestamptz not null default cs_now(),
    primary key (tenant_id, work_item_id, position),
    foreign key (tenant_id, work_item_id) references work_items,
    constraint history_begins_with_create
        check ((position = 1) = (from_status is null) and (position = 1) = (action = 'Create'))
);

create table work_item_comments (
    tenant_id    text not null,
    work_item_id uuid not null,
    comment_id   uuid not null,
    body         text not null check (char_length(body) between 1 and 20000),
    by_user      text not null,
    source       text not null check (source in ('CRM_UI', 'WORKFLOW_ENGINE', 'RULE', 'KAFKA', 'IMPORT')),
    created_at   timestamptz not null default cs_now(),
    primary key (tenant_id, work_item_id, comment_id),
    foreign key (tenant_id, work_item_id) references work_items
);

-- What INSTANCE_STATUS_CHANGED told us, per instance: the reconciler compares it with the item (WI-7).
create table work_item_instances (
    tenant_id    text not null,
    work_item_id uuid not null,
    instance_id  text not null,
    status       text not null check (status in ('running', 'completed', 'canceled')),
    cycle        integer not null check (cycle >= 0),
    since        timestamptz not null default cs_now(),
    primary key (tenant_id, work_item_id, instance_id),
    foreign key (tenant_id, work_item_id) references work_items
);
create index work_item_instances_ended on work_item_instances (tenant_id, since) where status <> 'running';

alter table work_items enable row level security;
alter table work_items force row level security;
alter table work_item_state_history enable row level security;
alter table work_item_state_history force row level security;
alter table work_item_comments enable row level security;
alter table work_item_comments force row level security;
alter table work_item_instances enable row level security;
alter table work_item_instances force row level security;

-- Nobody deletes; history is not even updated. Erasing a subject's texts comes with its own grant.
grant select, insert, update on work_items, work_item_instances to cs_api, cs_worker;
grant select, insert on work_item_state_history, work_item_comments to cs_api, cs_worker;

create policy work_items_api on work_items to cs_api using (tenant_id = app_tenant());
create policy work_items_worker on work_items to cs_worker using (tenant_id = any (app_tenants()));
create policy work_item_state_history_api on work_item_state_history to cs_api using (tenant_id = app_tenant());
create policy work_item_state_history_worker on work_item_state_history to cs_worker using (tenant_id = any (app_tenants()));
create policy work_item_comments_api on work_item_comments to cs_api using (tenant_id = app_tenant());
create policy work_item_comments_worker on work_item_comments to cs_worker using (tenant_id = any (app_tenants()));
create policy work_item_instances_api on work_item_instances to cs_api using (tenant_id = app_tenant());
create policy work_item_instances_worker on work_item_instances to cs_worker using (tenant_id = any (app_tenants()));
