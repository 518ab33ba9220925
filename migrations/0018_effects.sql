-- Durable calls and timers (domain/effects, domain/timers). What is due is found by partial indexes that hold only what is
-- unfinished: a million finished rows cost a search nothing.

-- The counter of an order key: whoever gives an effect its position, or takes one away, locks the row first.
create table effect_order_keys (
    tenant_id     text not null,
    order_key     text not null check (order_key <> ''),
    last_position bigint not null default 0,
    used_at       timestamptz not null default cs_now(),
    primary key (tenant_id, order_key)
) with (fillfactor = 70);

-- request and detail may hold what a person said: bytes, since valid JSON with \u0000 cannot be jsonb. Null: emptied, by age or
-- because the subject was erased; the row itself stays for ever, it is what makes an effect happen once.
create table effects (
    tenant_id        text not null,
    effect_id        uuid not null,
    seq              bigint generated always as identity,
    owner_kind       text not null check (owner_kind <> ''),
    owner_id         text not null check (owner_id <> ''),
    action_index     integer not null,
    occurrence       text not null,
    kind             text not null check (kind <> ''),
    -- Whom a call reaches; where nobody is named, such as of kinds that need no network, the kind.
    endpoint         text not null check (endpoint <> ''),
    request          bytea check (octet_length(request) <= 1048576),
    order_key        text,
    position         bigint,
    subject_id       text,
    retries          integer not null default 0 check (retries >= 0),
    delay_seconds    double precision not null default 0,
    backoff          text not null default 'exponential' check (backoff in ('fixed', 'exponential')),
    is_async         boolean not null default false,
    state            text not null check (state in ('waiting', 'delayed', 'queued', 'due', 'leased', 'succeeded', 'failed',
                                                    'skipped', 'canceled')),
    due_at           timestamptz not null,
    -- Calls begun, and calls answered by "not now": the difference are calls whose worker died.
    attempt          integer not null default 0,
    failures         integer not null default 0,
    lease_owner      text not null default '',
    lease_term       bigint not null default 0,
    lease_expires_at timestamptz not null default '-infinity',
    code             text not null default '',
    fingerprint      text not null default '',
    detail           bytea,
    is_emptied       boolean generated always as (request is null) stored,
    created_at       timestamptz not null default cs_now(),
    finished_at      timestamptz,
    primary key (tenant_id, effect_id),
    constraint finished_when_it_ended check
        ((finished_at is not null) = (state in ('succeeded', 'failed', 'skipped', 'canceled'))),
    constraint queued_has_a_position check (state <> 'queued' or position is not null),
    -- So a position says that somebody stands in line.
    constraint position_only_in_line check (position is null or state in ('queued', 'due', 'leased'))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
-- What may be called now, channel by channel: a channel is one tenant's calls to one endpoint.
create index effects_due on effects (endpoint, tenant_id, due_at, seq) where state = 'due';
create index effects_delayed on effects (due_at, seq) where state = 'delayed';
create index effects_delayed_in_order on effects (order_key, tenant_id, due_at, seq)
    where state = 'delayed' and order_key is not null;
create index effects_leased on effects (endpoint, tenant_id) where state = 'leased';
-- Who stands in line: the smallest position of a key is its head.
create unique index effects_in_line on effects (tenant_id, order_key, position)
    where position is not null;
create index effects_of_owner on effects (owner_id, owner_kind, tenant_id) where finished_at is null;
create index effects_failed on effects (fingerprint, tenant_id) where state = 'failed';
create index effects_of_subject on effects (subject_id, tenant_id)
    where subject_id is not null and (request is not null or detail is not null);
create index effects_with_payload on effects (finished_at)
    where finished_at is not null and (request is not null or detail is not null);

-- What workers agree on about a channel: the circuit and the tokens of its rate. endpoint '' is the tenant as a whole.
create table effect_channels (
    tenant_id   text not null,
    endpoint    text not null,
    failures    integer not null default 0,
    open_until  timestamptz not null default '-infinity',
    tokens      double precision not null default 0,
    refilled_at timestamptz not null default '-infinity',
    primary key (tenant_id, endpoint)
) with (fillfactor = 50);

-- Something to do at a time. The key is the owner's: arming it again moves it. `entry` counts the entries into the state that the
-- timer belongs to: fired for another entry it is a recorded no-op. Fired rows go after a while; a rule's row keeps its last instant.
create table timers (
    tenant_id  text not null,
    timer_key  text not null check (timer_key <> ''),
    kind       text not null check (kind <> ''),
    due_at     timestamptz not null,
    command    jsonb not null default '{}',
    entry      bigint not null default 0,
    subject_id text,
    state      text not null default 'armed' check (state in ('armed', 'fired', 'outdated', 'canceled')),
    armed_at   timestamptz not null default cs_now(),
    ended_at   timestamptz,
    primary key (tenant_id, timer_key),
    constraint ended_when_not_armed check ((ended_at is null) = (state = 'armed'))
) with (fillfactor = 80);
create index timers_due on timers (tenant_id, due_at, timer_key) where state = 'armed';
create index timers_ended on timers (ended_at) where state <> 'armed';
create index timers_of_subject on timers (subject_id, tenant_id) where subject_id is not null;

alter table effect_order_keys enable row level security;
alter table effect_order_keys force row level security;
alter table effects enable row level security;
alter table effects force row level security;
alter table effect_channels enable row level security;
alter table effect_channels force row level security;
alter table timers enable row level security;
alter table timers force row level security;

-- cs_scan finds, claims and orders retries across tenants; what an effect says, it cannot read.
grant select, insert, update, delete on effect_order_keys to cs_worker;
grant select, insert, update on effect_order_keys to cs_api;
grant select, insert, update on effects to cs_api, cs_worker;
grant select (tenant_id, effect_id, seq, owner_kind, owner_id, action_index, occurrence, kind, endpoint, order_key, position,
              subject_id, retries, delay_seconds, backoff, is_async, state, due_at, attempt, failures, lease_owner, lease_term,
              lease_expires_at, code, fingerprint, is_emptied, created_at, finished_at) on effects to cs_scan;
grant update (state, attempt, failures, due_at, position, finished_at, lease_owner, lease_term, lease_expires_at)
    on effects to cs_scan;
grant select on effect_channels to cs_api, cs_worker;
grant select, insert, update on effect_channels to cs_scan;
grant select, insert, update on timers to cs_api;
grant select, insert, update, delete on timers to cs_worker;
grant select (tenant_id, timer_key, kind, due_at, state) on timers to cs_scan;

create policy effect_order_keys_api on effect_order_keys to cs_api using (tenant_id = app_tenant());
create policy effect_order_keys_worker on effect_order_keys to cs_worker using (tenant_id = any (app_tenants()));
create policy effects_api on effects to cs_api using (tenant_id = app_tenant());
create policy effects_worker on effects to cs_worker using (tenant_id = any (app_tenants()));
create policy effects_scan on effects to cs_scan using (true);
create policy effect_channels_api on effect_channels for select to cs_api using (tenant_id = app_tenant());
create policy effect_channels_worker on effect_channels for select to cs_worker using (tenant_id = any (app_tenants()));
create policy effect_channels_scan on effect_channels to cs_scan using (true);
create policy timers_api on timers to cs_api using (tenant_id = app_tenant());
create policy timers_worker on timers to cs_worker using (tenant_id = any (app_tenants()));
create policy timers_scan on timers for select to cs_scan using (true);
