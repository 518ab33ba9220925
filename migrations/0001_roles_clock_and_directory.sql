-- The ground that every later migration stands on: schemas, grants, the one clock, tenants and people.
-- Login roles (cs_migrate, cs_api, cs_worker, cs_scan) are made before this by deploy/database/roles.sql.

create schema projections;
create schema analytics;
create schema meta;

do $$
begin
    if not exists (select from pg_roles where rolname = 'cs_analyst') then
        create role cs_analyst nologin;
    end if;
exception when duplicate_object or unique_violation then null;
end $$;

revoke all on schema public from public;
grant usage on schema public to cs_api, cs_worker, cs_scan;
grant usage on schema projections to cs_api, cs_worker, cs_analyst;
grant usage on schema analytics, meta to cs_api, cs_worker, cs_analyst;

-- The only clock that SQL reads. A test database may replace it (its owner can); production roles cannot.
-- Stable, so that indexes serve `due_at <= cs_now()`; statement time, so that a lease in a long transaction still moves.
create function cs_now() returns timestamptz language sql stable parallel safe
    return statement_timestamp();

-- The tenant of an API transaction and the tenants of a worker's batch. Unset or reset reads as no tenant: no rows, no error.
create function app_tenant() returns text language sql stable parallel safe
    return nullif(current_setting('app.tenant', true), '');
create function app_tenants() returns text[] language sql stable parallel safe
    return nullif(current_setting('app.tenants', true), '')::text[];
revoke all on function cs_now(), app_tenant(), app_tenants() from public;
grant execute on function cs_now(), app_tenant(), app_tenants() to cs_api, cs_worker, cs_scan, cs_analyst;

create table tenants (
    tenant_id  text primary key check (tenant_id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'),
    name       text not null,
    zone       text not null default 'UTC',
    holidays   date[] not null default '{}',
    active     boolean not null default true,
    created_at timestamptz not null default cs_now()
);

create table users (
    tenant_id    text not null references tenants,
    user_id      text not null check (user_id <> ''),
    display_name text not null,
    active       boolean not null default true,
    roles        text[] not null default '{}',
    created_at   timestamptz not null default cs_now(),
    updated_at   timestamptz not null default cs_now(),
    primary key (tenant_id, user_id)
);

create table teams (
    tenant_id  text not null references tenants,
    team_id    text not null check (team_id <> ''),
    name       text not null,
    active     boolean not null default true,
    created_at timestamptz not null default cs_now(),
    primary key (tenant_id, team_id)
);

create table team_members (
    tenant_id text not null,
    team_id   text not null,
    user_id   text not null,
    primary key (tenant_id, team_id, user_id),
    foreign key (tenant_id, team_id) references teams on delete cascade,
    foreign key (tenant_id, user_id) references users on delete cascade
);

-- Which analyst login may read which tenant. The login decides, never a setting: anybody can change a setting.
create table analyst_tenants (
    tenant_id text not null references tenants,
    role_name text not null,
    primary key (tenant_id, role_name)
);

-- One open incident per (kind, fingerprint, object); seeing it again counts, it does not multiply.
-- tenant_id '' is an incident of the system or of a message whose tenant is unreadable.
create table incidents (
    tenant_id   text not null,
    incident_id uuid not null,
    kind        text not null,
    fingerprint text not null,
    object_type text not null default '',
    object_id   text not null default '',
    summary     text not null,
    cure        text not null default '',
    detail      jsonb not null default '{}',
    state       text not null default 'open' check (state in ('open', 'resolved')),
    first_seen  timestamptz not null default cs_now(),
    last_seen   timestamptz not null default cs_now(),
    seen_count  bigint not null default 1,
    resolved_at timestamptz,
    resolved_by text,
    resolution  text,
    primary key (tenant_id, incident_id)
);
create unique index incidents_one_open on incidents (tenant_id, kind, fingerprint, object_type, object_id)
    where state = 'open';
create index incidents_by_last_seen on incidents (tenant_id, state, last_seen desc);

-- Append-only for everybody, the owner included.
create table audit_log (
    tenant_id   text not null,
    audit_id    uuid not null,
    at          timestamptz not null default cs_now(),
    actor       text not null,
    action      text not null,
    object_type text not null,
    object_id   text not null,
    reason      text,
    detail      jsonb not null default '{}',
    primary key (tenant_id, audit_id)
);
create index audit_log_by_object on audit_log (tenant_id, object_type, object_id, at);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% on % refused: the table is append-only', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger audit_log_append_only before update or delete on audit_log
    for each row execute function refuse_change();
create trigger audit_log_no_truncate before truncate on audit_log
    for each statement execute function refuse_change();

-- Stored answers of the HTTP door, written with the effect (Idempotency-Key). A null status: the first call is still running.
create table idempotency_keys (
    tenant_id   text not null references tenants,
    principal   text not null,
    route       text not null,
    key         text not null,
    fingerprint bytea not null,
    status      integer,
    answer      bytea,
    created_at  timestamptz not null default cs_now(),
    expires_at  timestamptz not null,
    primary key (tenant_id, principal, route, key)
);
create index idempotency_keys_by_expiry on idempotency_keys (expires_at);

-- Named leases of background roles: whoever holds the term may act until expires_at, by database time.
create table leases (
    name       text primary key,
    owner      text not null default '',
    term       bigint not null default 0,
    expires_at timestamptz not null default '-infinity'
);

-- Row level security: forced, one policy per table and role, none to PUBLIC.
alter table tenants enable row level security;
alter table tenants force row level security;
alter table users enable row level security;
alter table users force row level security;
alter table teams enable row level security;
alter table teams force row level security;
alter table team_members enable row level security;
alter table team_members force row level security;
alter table analyst_tenants enable row level security;
alter table analyst_tenants force row level security;
alter table incidents enable row level security;
alter table incidents force row level security;
alter table audit_log enable row level security;
alter table audit_log force row level security;
alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
alter table leases enable row level security;
alter table leases force row level security;

grant select, insert, update on tenants, users, teams to cs_api, cs_worker;
grant select, insert, update, delete on team_members to cs_api, cs_worker;
grant select on tenants to cs_scan;
grant select on analyst_tenants to cs_analyst, cs_worker;
grant select, insert, update on incidents to cs_api, cs_worker, cs_scan;
grant select, insert on audit_log to cs_api, cs_worker;
grant insert on audit_log to cs_scan;
grant select, insert, update, delete on idempotency_keys to cs_api;
grant select, delete on idempotency_keys to cs_worker;
grant select, insert, update, delete on leases to cs_scan;

create policy tenants_api on tenants to cs_api using (tenant_id = app_tenant());
create policy tenants_worker on tenants to cs_worker using (tenant_id = any (app_tenants()));
create policy tenants_scan on tenants for select to cs_scan using (true);
create policy users_api on users to cs_api using (tenant_id = app_tenant());
create policy users_worker on users to cs_worker using (tenant_id = any (app_tenants()));
create policy teams_api on teams to cs_api using (tenant_id = app_tenant());
create policy teams_worker on teams to cs_worker using (tenant_id = any (app_tenants()));
create policy team_members_api on team_members to cs_api using (tenant_id = app_tenant());
create policy team_members_worker on team_members to cs_worker using (tenant_id = any (app_tenants()));
create policy analyst_tenants_analyst on analyst_tenants for select to cs_analyst using (role_name = session_user);
create policy analyst_tenants_worker on analyst_tenants for select to cs_worker using (tenant_id = any (app_tenants()));
create policy incidents_api on incidents to cs_api using (tenant_id = app_tenant());
-- Workers and scans report what they find; a message with an unreadable tenant has the empty one.
create policy incidents_worker on incidents to cs_worker using (tenant_id = any (app_tenants()) or tenant_id = '');
create policy incidents_scan on incidents to cs_scan using (true);
create policy audit_log_api on audit_log to cs_api using (tenant_id = app_tenant());
create policy audit_log_worker on audit_log to cs_worker using (tenant_id = any (app_tenants()) or tenant_id = '');
create policy audit_log_scan on audit_log for insert to cs_scan with check (true);
create policy idempotency_keys_api on idempotency_keys to cs_api using (tenant_id = app_tenant());
create policy idempotency_keys_worker on idempotency_keys to cs_worker using (tenant_id = any (app_tenants()));
create policy leases_scan on leases to cs_scan using (true);
