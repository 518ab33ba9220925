-- Cases: every version of a case as an encrypted snapshot, for ever, and one head row per case that its writers lock.

-- The head: what the next command must know. A case has one class and one subject for its whole life; only version, removed
-- and updated_* ever change, and production roles may change nothing else.
create table cases (
    tenant_id  text not null references tenants,
    case_id    text not null check (case_id <> ''),
    class_name text not null,
    subject_id text not null check (subject_id <> ''),
    -- Also the number of the case's last event: one event per version.
    version    bigint not null check (version >= 1),
    removed    boolean not null default false,
    created_at timestamptz not null,
    created_by text not null,
    updated_at timestamptz not null,
    updated_by text not null,
    primary key (tenant_id, case_id),
    constraint updated_after_creation check (updated_at >= created_at)
) with (fillfactor = 85);
create index cases_by_class on cases (tenant_id, class_name, case_id);
create index cases_by_subject on cases (tenant_id, subject_id);

-- The source of truth (UC-01). `previous` makes versions gapless whatever the code does: a version stands on the one before.
create table sys_case_data_store (
    tenant_id  text not null,
    case_id    text not null,
    version    bigint not null check (version >= 1),
    class_name text not null,
    subject_id text not null,
    seq        bigint generated always as identity,
    removed    boolean not null default false,
    snapshot   bytea,
    stored_at  timestamptz not null,
    stored_by  text not null,
    source     text not null,
    previous   bigint generated always as (nullif(version - 1, 0)) stored,
    primary key (tenant_id, case_id, version),
    foreign key (tenant_id, case_id) references cases,
    constraint versions_are_gapless
        foreign key (tenant_id, case_id, previous) references sys_case_data_store (tenant_id, case_id, version),
    constraint a_removal_has_no_snapshot check (removed = (snapshot is null))
);
-- Encrypted bytes do not compress.
alter table sys_case_data_store alter column snapshot set storage external;
create index sys_case_data_store_by_seq on sys_case_data_store (seq);

-- Append-only for everybody: `always`, so that not even a session that replays replication skips them.
create trigger sys_case_data_store_append_only before update or delete on sys_case_data_store
    for each row execute function refuse_change();
create trigger sys_case_data_store_no_truncate before truncate on sys_case_data_store
    for each statement execute function refuse_change();
alter table sys_case_data_store enable always trigger sys_case_data_store_append_only;
alter table sys_case_data_store enable always trigger sys_case_data_store_no_truncate;

alter table cases enable row level security;
alter table cases force row level security;
alter table sys_case_data_store enable row level security;
alter table sys_case_data_store force row level security;

grant select, insert, update (version, removed, updated_at, updated_by) on cases to cs_api, cs_worker;
grant select, insert on sys_case_data_store to cs_api, cs_worker;

create policy cases_api on cases to cs_api using (tenant_id = app_tenant());
create policy cases_worker on cases to cs_worker using (tenant_id = any (app_tenants()));
create policy sys_case_data_store_api on sys_case_data_store to cs_api using (tenant_id = app_tenant());
create policy sys_case_data_store_worker on sys_case_data_store to cs_worker using (tenant_id = any (app_tenants()));
