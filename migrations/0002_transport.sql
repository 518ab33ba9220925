-- What lies between PostgreSQL and Kafka: outbox, relay shards, consumer offsets, inbox, sequences, waiting and parked messages.
-- Keys, values and headers that go to or came from Kafka are bytea: valid JSON with \u0000 cannot be jsonb.

-- xid comes first, so that a writer's transaction id exists before its row id is drawn: the relay's floor depends on it.
create table outbox_events (
    xid          xid8 not null default pg_current_xact_id(),
    id           bigint generated always as identity (cache 1),
    event_id     uuid not null,
    tenant_id    text not null,
    shard        smallint not null check (shard between 0 and 15),
    aggregate    text not null,
    aggregate_id text not null,
    sequence     bigint,
    topic        text not null,
    key          bytea,
    event_type   text not null,
    headers      bytea not null,
    payload      bytea,
    occurred_at  timestamptz not null,
    created_at   timestamptz not null default cs_now(),
    created_by   text not null,
    traceparent  text,
    primary key (shard, id),
    -- The relay parks nothing, so nothing can starve a shard: what a broker could refuse fails here, in its writer.
    constraint outbox_event_size check (
        octet_length(headers) + coalesce(octet_length(payload), 0) + coalesce(octet_length(key), 0) <= 900000)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
create index outbox_events_by_aggregate on outbox_events (tenant_id, aggregate, aggregate_id);

-- Debezium's outbox shape (its names and types), so that a user may swap relays.
create view outbox_debezium with (security_invoker = true) as
select event_id                                    as id,
       aggregate::varchar(255)                     as aggregatetype,
       aggregate_id::varchar(255)                  as aggregateid,
       event_type::varchar(255)                    as type,
       convert_from(payload, 'UTF8')::jsonb        as payload
from outbox_events;

-- One row per shard: who relays it, under which term, until when, and the committed floor (see outbox_relay).
create table relay_shards (
    shard      smallint primary key check (shard between 0 and 15),
    owner      text not null default '',
    term       bigint not null default 0,
    expires_at timestamptz not null default '-infinity',
    floor      bigint not null default 0
);
insert into relay_shards (shard) select generate_series(0, 15);

-- A group's own switch: a storm of poison stops it, an operator resumes it.
create table consumer_groups (
    group_name text primary key,
    state      text not null default 'running' check (state in ('running', 'stopped')),
    reason     text not null default '',
    changed_at timestamptz not null default cs_now()
);

-- The position of a group, and the epoch of whoever owns the partition. Kafka's committed offset is only a mirror of it.
create table consumer_offsets (
    group_name text not null,
    topic      text not null,
    partition  integer not null,
    next       bigint not null,
    epoch      bigint not null default 0,
    began_at   bigint not null default 0,
    owner      text not null default '',
    updated_at timestamptz not null default cs_now(),
    primary key (group_name, topic, partition)
);

-- Ranges that an operator skipped by moving a group forward.
create table skipped_ranges (
    group_name text not null,
    topic      text not null,
    partition  integer not null,
    from_next  bigint not null,
    to_next    bigint not null,
    moved_at   timestamptz not null default cs_now(),
    moved_by   text not null,
    primary key (group_name, topic, partition, from_next, to_next)
);

-- What a group has seen, by CloudEvents identity. One plain table: partitions by day of receipt would forget across midnight.
create table inbox (
    tenant_id   text not null,
    group_name  text not null,
    source      text not null,
    event_id    text not null,
    received_at timestamptz not null default cs_now(),
    primary key (tenant_id, group_name, source, event_id)
);
create index inbox_by_age on inbox (group_name, received_at);

-- The last applied number of an aggregate's events on a topic.
create table applied_sequences (
    tenant_id  text not null,
    group_name text not null,
    source     text not null,
    topic      text not null,
    aggregate  text not null,
    sequence   bigint not null,
    primary key (tenant_id, group_name, source, topic, aggregate)
);

-- Where an aggregate's numbers were taken up although earlier ones never came, and why: first sight, a skipped range, an operator.
create table sequence_baselines (
    tenant_id  text not null,
    group_name text not null,
    source     text not null,
    topic      text not null,
    aggregate  text not null,
    baseline   bigint not null,
    reason     text not null check (reason in ('first-sight', 'skipped-range', 'operator')),
    taken_at   timestamptz not null default cs_now(),
    primary key (tenant_id, group_name, source, topic, aggregate, baseline)
);

-- Messages ahead of a missing number, until it comes. No poison: no DLT copy, no marker.
-- `skip`: an operator says that the missing numbers will never come.
create table waiting_messages (
    group_name  text not null,
    topic       text not null,
    partition   integer not null,
    "offset"    bigint not null,
    tenant_id   text not null,
    source      text not null,
    aggregate   text not null,
    sequence    bigint not null,
    waiting_for bigint not null,
    key         bytea,
    value       bytea,
    headers     bytea not null,
    timestamp   bigint not null,
    skip        boolean not null default false,
    since       timestamptz not null default cs_now(),
    primary key (group_name, topic, partition, "offset")
);
create index waiting_messages_by_aggregate on waiting_messages (group_name, topic, tenant_id, source, aggregate, sequence);

-- A key whose messages are set aside because one of them could not be applied. A producer with another partitioner may
-- spread a key over partitions; each partition has its own owner, so each has its own mark.
create table parked_keys (
    group_name text not null,
    topic      text not null,
    partition  integer not null,
    key        bytea not null,
    tenant_id  text not null,
    since      timestamptz not null default cs_now(),
    primary key (group_name, topic, partition, key)
);

-- Every parked message, with its reason; followers of a poisoned key have reason 'follows'.
-- `ordered` is what an operator wants done; only the partition's owner does it.
create table parked_messages (
    group_name  text not null,
    topic       text not null,
    partition   integer not null,
    "offset"    bigint not null,
    tenant_id   text not null,
    key         bytea,
    value       bytea,
    headers     bytea not null,
    timestamp   bigint not null,
    reason      text not null,
    fingerprint text not null,
    error       text not null,
    attempts    integer not null default 1,
    ordered     text check (ordered in ('redrive', 'discard')),
    parked_at   timestamptz not null default cs_now(),
    primary key (group_name, topic, partition, "offset")
);
create index parked_messages_by_key on parked_messages (group_name, topic, partition, key, "offset");
create index parked_messages_ordered on parked_messages (group_name, topic, partition) where ordered is not null;
create index parked_messages_by_fingerprint on parked_messages (group_name, fingerprint, parked_at);

alter table outbox_events enable row level security;
alter table outbox_events force row level security;
alter table relay_shards enable row level security;
alter table relay_shards force row level security;
alter table consumer_groups enable row level security;
alter table consumer_groups force row level security;
alter table consumer_offsets enable row level security;
alter table consumer_offsets force row level security;
alter table skipped_ranges enable row level security;
alter table skipped_ranges force row level security;
alter table inbox enable row level security;
alter table inbox force row level security;
alter table applied_sequences enable row level security;
alter table applied_sequences force row level security;
alter table sequence_baselines enable row level security;
alter table sequence_baselines force row level security;
alter table waiting_messages enable row level security;
alter table waiting_messages force row level security;
alter table parked_keys enable row level security;
alter table parked_keys force row level security;
alter table parked_messages enable row level security;
alter table parked_messages force row level security;

grant insert on outbox_events to cs_api;
grant select, insert on outbox_events to cs_worker;
grant select, delete on outbox_events to cs_scan;
grant select on outbox_debezium to cs_scan;
grant select, update on relay_shards to cs_scan;
grant select, insert, update, delete on consumer_groups, consumer_offsets, skipped_ranges, inbox, applied_sequences,
    sequence_baselines, waiting_messages, parked_keys, parked_messages to cs_worker;
grant select on consumer_groups, consumer_offsets, skipped_ranges, waiting_messages, parked_keys, parked_messages to cs_scan;

create policy outbox_events_api on outbox_events for insert to cs_api with check (tenant_id = app_tenant());
create policy outbox_events_worker on outbox_events to cs_worker using (true);
create policy outbox_events_scan on outbox_events to cs_scan using (true);
create policy relay_shards_scan on relay_shards to cs_scan using (true);
create policy consumer_groups_worker on consumer_groups to cs_worker using (true);
create policy consumer_groups_scan on consumer_groups for select to cs_scan using (true);
create policy consumer_offsets_worker on consumer_offsets to cs_worker using (true);
create policy consumer_offsets_scan on consumer_offsets for select to cs_scan using (true);
create policy skipped_ranges_worker on skipped_ranges to cs_worker using (true);
create policy skipped_ranges_scan on skipped_ranges for select to cs_scan using (true);
create policy inbox_worker on inbox to cs_worker using (tenant_id = any (app_tenants()));
create policy applied_sequences_worker on applied_sequences to cs_worker using (tenant_id = any (app_tenants()));
create policy sequence_baselines_worker on sequence_baselines to cs_worker using (tenant_id = any (app_tenants()));
create policy waiting_messages_worker on waiting_messages to cs_worker using (true);
create policy waiting_messages_scan on waiting_messages for select to cs_scan using (true);
create policy parked_keys_worker on parked_keys to cs_worker using (true);
create policy parked_keys_scan on parked_keys for select to cs_scan using (true);
create policy parked_messages_worker on parked_messages to cs_worker using (true);
create policy parked_messages_scan on parked_messages for select to cs_scan using (true);
grant select on sequence outbox_events_id_seq to cs_scan;
