-- Rebuilds: who ordered which table anew, where each stands, and what of the store remains to be read. Tables belong to the
-- installation, not to a tenant, so these keys do not begin with tenant_id (decision 0018).

create table rebuilds (
    rebuild_id   uuid primary key,
    name         text not null,
    -- Null until the version is planned.
    version      integer,
    source       text not null check (source in ('topic', 'store')),
    trial_tenant text,
    -- Records per second for all its processes together; null: as fast as they can.
    rate         integer check (rate > 0),
    workers      integer not null default 1 check (workers > 0),
    state        text not null default 'ordered'
                 check (state in ('ordered', 'planned', 'prepared', 'scanning', 'catching-up', 'ready', 'paused',
                                  'refused', 'failed', 'cancelled')),
    paused_from  text check ((paused_from is not null) = (state = 'paused')),
    -- Why it was refused, paused or failed: a sentence for people.
    message      text not null default '',
    error_budget double precision not null default 0.001 check (error_budget >= 0),
    total        bigint not null default 0,
    applied      bigint not null default 0,
    errors       bigint not null default 0,
    -- Errors that an operator has seen and let pass.
    forgiven     bigint not null default 0,
    speed        double precision not null default 0,
    ordered_by   text not null,
    reason       text not null default '',
    ordered_at   timestamptz not null default cs_now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    measured_at  timestamptz,
    check ((version is not null) or state in ('ordered', 'refused', 'cancelled'))
);
-- Ordered twice is ordered once; a trial of one tenant stands beside the rebuild of all.
create unique index rebuilds_one_open on rebuilds (name, coalesce(trial_tenant, ''))
    where state in ('ordered', 'planned', 'prepared', 'scanning', 'catching-up', 'paused');
create unique index rebuilds_by_version on rebuilds (name, version);
create index rebuilds_by_time on rebuilds (ordered_at desc, rebuild_id);

-- A part of the store, by the order in which snapshots were stored. Whoever leases it reads on from `cursor`, under a term.
create table rebuild_slices (
    rebuild_id uuid not null references rebuilds on delete cascade,
    -- 0: the store once through. Above: what was parked is read again, a row each, after the rebuild was resumed.
    attempt    integer not null default 0,
    first_seq  bigint not null,
    last_seq   bigint not null,
    cursor     bigint not null,
    done       boolean not null default false,
    scanned    bigint not null default 0,
    owner      text not null default '',
    term       bigint not null default 0,
    expires_at timestamptz not null default '-infinity',
    primary key (rebuild_id, attempt, first_seq),
    check (first_seq <= last_seq and cursor between first_seq - 1 and last_seq),
    check (done = (cursor = last_seq))
);
create index rebuild_slices_left on rebuild_slices (rebuild_id, attempt, first_seq) where not done;

-- What the topic's partitions ended at when the order was taken up (`noted`: a store rebuild's group begins there), and the
-- ends that the group has to reach next (`goal`).
create table rebuild_offsets (
    rebuild_id uuid not null references rebuilds on delete cascade,
    topic      text not null,
    partition  integer not null,
    begins     bigint not null,
    noted      bigint not null,
    goal       bigint not null,
    goal_at    timestamptz not null default cs_now(),
    primary key (rebuild_id, topic, partition)
);

-- Stored snapshots that could not be put into the table. Ids only: the snapshot itself stays in the store.
create table rebuild_parked (
    tenant_id  text not null references tenants,
    rebuild_id uuid not null,
    seq        bigint not null,
    case_id    text not null,
    version    bigint not null,
    reason     text not null,
    parked_at  timestamptz not null default cs_now(),
    primary key (tenant_id, rebuild_id, seq)
);
create index rebuild_parked_by_rebuild on rebuild_parked (rebuild_id);

-- What is done with finished versions: compare, switch the view, retire. Leased under a term by whoever does it.
create table projection_orders (
    order_id     uuid primary key,
    kind         text not null check (kind in ('verify', 'switch', 'switch-back', 'retire')),
    name         text not null,
    version      integer not null,
    -- verify: the version to compare with (null: the serving one); `whole`: with project() over the store.
    against      integer,
    whole        boolean not null default false,
    state        text not null default 'ordered'
                 check (state in ('ordered', 'running', 'done', 'refused', 'failed')),
    verdict      text check (verdict in ('equal', 'different')),
    message      text not null default '',
    -- Counts, hashes and ids of rows that differ; never their values.
    report       jsonb not null default '{}',
    -- When the snapshot was taken that the verdict is about.
    compared_at  timestamptz,
    owner        text not null default '',
    term         bigint not null default 0,
    expires_at   timestamptz not null default '-infinity',
    requested_by text not null,
    reason       text not null default '',
    requested_at timestamptz not null default cs_now(),
    finished_at  timestamptz
);
create unique index projection_orders_one_open on projection_orders (name, version, kind, whole)
    where state in ('ordered', 'running');
create index projection_orders_by_version on projection_orders (name, version, requested_at desc);

alter table rebuilds enable row level security;
alter table rebuilds force row level security;
alter table rebuild_slices enable row level security;
alter table rebuild_slices force row level security;
alter table rebuild_offsets enable row level security;
alter table rebuild_offsets force row level security;
alter table rebuild_parked enable row level security;
alter table rebuild_parked force row level security;
alter table projection_orders enable row level security;
alter table projection_orders force row level security;

grant select, insert, update on rebuilds to cs_api, cs_scan, cs_worker;
grant select on rebuild_offsets to cs_api;
grant select, insert, update, delete on rebuild_slices, rebuild_offsets, rebuild_parked to cs_worker;
grant select, insert, update on projection_orders to cs_api, cs_scan, cs_worker;

create policy rebuilds_api on rebuilds to cs_api using (true);
create policy rebuilds_scan on rebuilds to cs_scan using (true);
create policy rebuilds_worker on rebuilds to cs_worker using (true);
create policy rebuild_slices_worker on rebuild_slices to cs_worker using (true);
create policy rebuild_offsets_api on rebuild_offsets for select to cs_api using (true);
create policy rebuild_offsets_worker on rebuild_offsets to cs_worker using (true);
create policy rebuild_parked_worker on rebuild_parked to cs_worker using (tenant_id = any (app_tenants()));
create policy projection_orders_api on projection_orders to cs_api using (true);
create policy projection_orders_scan on projection_orders to cs_scan using (true);
create policy projection_orders_worker on projection_orders to cs_worker using (true);
