-- Table versions: which tables there are, in which versions, as what; and the orders by which the owner role makes them.
-- Mappings and their tables belong to the installation, not to a tenant, so these keys do not begin with tenant_id.

create table projection_tables (
    name            text primary key check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    kind            text not null check (kind in ('builtin', 'cases')),
    topics          text[] not null check (cardinality(topics) > 0),
    -- The version that the analysts' view shows; null until the first switch.
    serving_version integer,
    created_at      timestamptz not null default cs_now()
);

-- One row per version, for ever: a retired one keeps its number, which no later version takes again.
-- `spec` pins the resolved mapping (null for builtin tables, whose columns are the code's).
create table projection_versions (
    name         text not null references projection_tables,
    version      integer not null check (version > 0),
    spec         jsonb,
    fingerprint  text not null,
    source       text not null check (source in ('topic', 'store')),
    trial_tenant text,
    state        text not null default 'planned'
                 check (state in ('planned', 'building', 'ready', 'serving', 'standby', 'retired')),
    reason       text not null default '',
    created_by   text not null,
    created_at   timestamptz not null default cs_now(),
    state_since  timestamptz not null default cs_now(),
    primary key (name, version)
);
create unique index projection_versions_one_serves on projection_versions (name) where state = 'serving';

-- How far each member of a version's group is behind. Written every few seconds, read by meta.projection_freshness.
create table projection_lag (
    name        text not null,
    version     integer not null,
    member      text not null,
    lag_records bigint not null,
    lag_seconds double precision not null,
    applied_at  timestamptz,
    measured_at timestamptz not null default cs_now(),
    primary key (name, version, member),
    foreign key (name, version) references projection_versions on delete cascade
) with (fillfactor = 50);

-- What the owner role is asked to do. The statement is kept for reading only: the ddl job makes it anew from the catalogue and
-- runs it when its hash is this one and somebody who may has approved it.
create table ddl_orders (
    order_id     uuid primary key,
    kind         text not null check (kind in ('create', 'switch', 'retire')),
    name         text not null,
    version      integer not null,
    statement    text not null,
    sha256       text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    state        text not null default 'waiting' check (state in ('waiting', 'approved', 'executed', 'refused')),
    reason       text not null default '',
    requested_by text not null,
    requested_at timestamptz not null default cs_now(),
    approved_by  text,
    approved_at  timestamptz,
    executed_at  timestamptz,
    attempts     integer not null default 0,
    error        text,
    foreign key (name, version) references projection_versions,
    check ((state in ('approved', 'executed')) <= (approved_by is not null))
);
create unique index ddl_orders_one_open on ddl_orders (name, version, kind) where state in ('waiting', 'approved');

alter table projection_tables enable row level security;
alter table projection_tables force row level security;
alter table projection_versions enable row level security;
alter table projection_versions force row level security;
alter table projection_lag enable row level security;
alter table projection_lag force row level security;
alter table ddl_orders enable row level security;
alter table ddl_orders force row level security;

-- Doors and jobs plan versions and order; only the owner role approves, executes and moves what the view shows.
grant select, insert on projection_tables to cs_api, cs_worker, cs_scan;
grant select on projection_tables to cs_analyst;
grant select, insert, update on projection_versions to cs_api, cs_worker, cs_scan;
grant select (name, version, state, state_since) on projection_versions to cs_analyst;
grant select, insert, update, delete on projection_lag to cs_worker;
grant select on projection_lag to cs_api, cs_scan, cs_analyst;
grant select on ddl_orders to cs_api, cs_worker, cs_scan;
grant insert (order_id, kind, name, version, statement, sha256, reason, requested_by) on ddl_orders to cs_api, cs_worker, cs_scan;

create policy projection_tables_api on projection_tables to cs_api using (true);
create policy projection_tables_worker on projection_tables to cs_worker using (true);
create policy projection_tables_scan on projection_tables to cs_scan using (true);
create policy projection_tables_analyst on projection_tables for select to cs_analyst using (true);
create policy projection_versions_api on projection_versions to cs_api using (true);
create policy projection_versions_worker on projection_versions to cs_worker using (true);
create policy projection_versions_scan on projection_versions to cs_scan using (true);
create policy projection_versions_analyst on projection_versions for select to cs_analyst using (true);
create policy projection_lag_worker on projection_lag to cs_worker using (true);
create policy projection_lag_api on projection_lag for select to cs_api using (true);
create policy projection_lag_scan on projection_lag for select to cs_scan using (true);
create policy projection_lag_analyst on projection_lag for select to cs_analyst using (true);
create policy ddl_orders_api on ddl_orders to cs_api using (true);
create policy ddl_orders_worker on ddl_orders to cs_worker using (true);
create policy ddl_orders_scan on ddl_orders to cs_scan using (true);

-- What an analyst asks before trusting a number: how fresh is the table that the view shows?
create view meta.projection_freshness with (security_invoker = true) as
select t.name                                                                  as table_name,
       t.serving_version,
       coalesce(s.state, 'none')                                               as state,
       l.applied_at,
       l.lag_records,
       l.lag_seconds,
       l.measured_at,
       (select max(v.version) from projection_versions v where v.name = t.name and v.state in ('building', 'ready'))
                                                                               as next_version
from projection_tables t
left join projection_versions s on s.name = t.name and s.version = t.serving_version
left join lateral (
    -- A member that has left no longer counts: its partitions are somebody else's.
    select max(g.applied_at) as applied_at, sum(g.lag_records)::bigint as lag_records, max(g.lag_seconds) as lag_seconds,
           max(g.measured_at) as measured_at
    from projection_lag g
    where g.name = t.name and g.version = t.serving_version and g.measured_at > cs_now() - interval '30 seconds') l on true;
comment on view meta.projection_freshness is
    'Per table of analytics: the version that it shows, and how far that is behind; no lag: nobody measures now';
grant select on meta.projection_freshness to cs_api, cs_worker, cs_analyst;

insert into projection_tables (name, kind, topics, serving_version)
values ('work_item_board', 'builtin', '{work-items.events.v1}', 1);
insert into projection_versions (name, version, fingerprint, source, state, created_by)
values ('work_item_board', 1, 'builtin', 'topic', 'serving', 'casestream db migrate');
