-- Rules (S1, RU-16): what a rule says, version by version, and the runs that it made, for ever unique per occurrence.

-- The head. What a version says is one text in workflow_rule_versions; these columns and the two tables of conditions and
-- actions are the current version spread out for SQL, written by the same statement. `generation` is the tenant's counter
-- at the rule's last change: a process that knows generation n asks for what is newer.
create table workflow_rules (
    tenant_id                 text not null references tenants,
    id                        uuid not null,
    version                   bigint not null check (version >= 1),
    generation                bigint not null check (generation >= 1),
    name                      text not null check (char_length(name) between 1 and 255),
    description               text,
    trigger_type              text not null check (trigger_type in (
        'ON_CREATE', 'ON_UPDATE', 'ON_DELETE', 'ON_FIELD_CHANGE', 'ON_STAGE_CHANGE', 'SCHEDULED', 'ON_DATE_FIELD')),
    entity_type               text not null,
    trigger_field             text,
    is_active                 boolean not null,
    -- Events before this instant are not this version's: a rule that was made today must not fire for last week's replay.
    active_since              timestamptz not null default cs_now(),
    priority                  integer not null default 100,
    max_executions_per_entity integer check (max_executions_per_entity >= 1),
    cron_expression           text,
    schedule_timezone         text,
    removed                   boolean not null default false,
    -- Folded from workflow_rule_deltas by housekeeping; what is not folded yet is added by the reader.
    execution_count           bigint not null default 0,
    success_count             bigint not null default 0,
    failure_count             bigint not null default 0,
    created_at                timestamptz not null default cs_now(),
    created_by                text not null,
    updated_at                timestamptz not null default cs_now(),
    updated_by                text not null,
    primary key (tenant_id, id),
    constraint a_removed_rule_is_not_active check (not (removed and is_active))
) with (fillfactor = 85);
create index idx_workflow_rules_entity_trigger on workflow_rules (entity_type, trigger_type, tenant_id) where not removed;
create index idx_workflow_rules_generation on workflow_rules (generation, tenant_id);

-- One row per tenant that has rules: its lock makes generations gapless and the limit of rules race free.
create table workflow_rule_sets (
    tenant_id  text primary key references tenants,
    generation bigint not null check (generation >= 1),
    rules      integer not null check (rules >= 0)
);

-- Every version that ever was, with its author and the reason; a run names the version that made it (trap 43).
create table workflow_rule_versions (
    tenant_id  text not null,
    rule_id    uuid not null,
    version    bigint not null check (version >= 1),
    definition text not null,
    is_active  boolean not null,
    author     text not null,
    reason     text,
    created_at timestamptz not null default cs_now(),
    primary key (tenant_id, rule_id, version),
    foreign key (tenant_id, rule_id) references workflow_rules (tenant_id, id)
);
create trigger workflow_rule_versions_append_only before update or delete on workflow_rule_versions
    for each row execute function refuse_change();

create table workflow_conditions (
    tenant_id            text not null,
    rule_id              uuid not null,
    id                   integer not null check (id >= 1),
    condition_order      integer not null default 0,
    field_name           text,
    operator             text,
    value                text,
    value_type           text,
    logical_operator     text check (logical_operator in ('AND', 'OR')),
    parent_condition_id  integer,
    group_order          integer,
    check_old_value      boolean not null default false,
    old_value_comparison text,
    null_matches         boolean not null default false,
    primary key (tenant_id, rule_id, id),
    foreign key (tenant_id, rule_id) references workflow_rules (tenant_id, id),
    foreign key (tenant_id, rule_id, parent_condition_id) references workflow_conditions (tenant_id, rule_id, id)
        deferrable initially deferred
);

create table workflow_actions (
    tenant_id           text not null,
    rule_id             uuid not null,
    action_order        integer not null,
    action_type         text not null,
    configuration       text not null,
    stop_on_failure     boolean not null default false,
    retry_count         integer not null default 0,
    retry_delay_seconds integer not null default 60,
    is_async            boolean not null default false,
    delay_seconds       integer not null default 0,
    primary key (tenant_id, rule_id, action_order),
    foreign key (tenant_id, rule_id) references workflow_rules (tenant_id, id)
);

-- A run. Its id is derived from (rule, occurrence), so the primary key is the durable unique key: an event that comes again,
-- however old, finds its run here. Rows are never deleted; input and output are emptied when their subject is erased.
create table workflow_execution_logs (
    tenant_id          text not null,
    id                 uuid not null,
    rule_id            uuid not null,
    rule_version       bigint not null,
    rule_name          text not null,
    entity_type        text not null,
    entity_id          text not null,
    subject_id         text not null,
    trigger_type       text not null,
    occurrence         text not null,
    status             text not null check (status in (
        'PENDING', 'RUNNING', 'SUCCESS', 'PARTIAL_SUCCESS', 'FAILED', 'SKIPPED', 'CANCELLED')),
    error_message      text,
    error_stack_trace  text,
    started_at         timestamptz not null,
    completed_at       timestamptz,
    execution_time_ms  bigint generated always as (
        (extract(epoch from completed_at - started_at) * 1000)::bigint) stored,
    input_data         text,
    output_data        text,
    trace              text,
    causation          text[] not null default '{}',
    actions_total      integer not null default 0,
    actions_completed  integer not null default 0,
    actions_failed     integer not null default 0,
    actions_skipped    integer not null default 0,
    primary key (tenant_id, id),
    constraint counts_fit check (actions_completed + actions_failed + actions_skipped <= actions_total),
    constraint ended_when_final
        check ((completed_at is not null) = (status not in ('PENDING', 'RUNNING')))
) with (fillfactor = 80);
create index idx_workflow_logs_rule on workflow_execution_logs (rule_id, started_at desc, id desc);
create index idx_workflow_logs_entity on workflow_execution_logs (entity_id, entity_type, tenant_id);

create index workflow_logs_of_subject on workflow_execution_logs (subject_id, tenant_id) where trace is not null;

-- What a rule did to an entity: enforces max_executions_per_entity (trap 6) and the rate guard of loops, race free, because
-- whoever starts a run has locked its row.
create table workflow_rule_guards (
    tenant_id      text not null,
    rule_id        uuid not null,
    entity_key     text not null,
    executions     bigint not null default 0,
    window_started timestamptz not null default 'epoch',
    window_runs    integer not null default 0,
    primary key (tenant_id, rule_id, entity_key)
) with (fillfactor = 80);

-- Statistics as appended deltas (trap 29): a counter row would be hot for a whole batch, a read-modify-write would lose counts.
create table workflow_rule_deltas (
    tenant_id  text not null,
    rule_id    uuid not null,
    id         bigint generated always as identity,
    executions integer not null,
    successes  integer not null,
    failures   integer not null,
    primary key (tenant_id, rule_id, id)
);

-- Who had the last turn in each circle of ASSIGN_TO with ROUND_ROBIN (trap 35).
create table assignment_circles (
    tenant_id text not null,
    name      text not null,
    last_user text,
    primary key (tenant_id, name)
);

do $$
declare
    named text;
begin
    foreach named in array array['workflow_rules', 'workflow_rule_sets', 'workflow_rule_versions', 'workflow_conditions',
        'workflow_actions', 'workflow_execution_logs', 'workflow_rule_guards', 'workflow_rule_deltas',
        'assignment_circles'] loop
        execute format('alter table %I enable row level security', named);
        execute format('alter table %I force row level security', named);
        execute format('create policy %I on %I to cs_api using (tenant_id = app_tenant())', named || '_api', named);
        execute format('create policy %I on %I to cs_worker using (tenant_id = any (app_tenants()))', named || '_worker', named);
    end loop;
end $$;

grant select, insert, update on workflow_rules, workflow_rule_sets to cs_api;
grant select, insert on workflow_rule_versions to cs_api;
grant select, insert, update, delete on workflow_conditions, workflow_actions to cs_api;
grant select, update on workflow_execution_logs to cs_api;
grant select on workflow_rule_guards, workflow_rule_deltas, assignment_circles to cs_api;
grant insert on workflow_rule_deltas to cs_api;

grant select, update (execution_count, success_count, failure_count) on workflow_rules to cs_worker;
grant select on workflow_rule_sets, workflow_rule_versions, workflow_conditions, workflow_actions to cs_worker;
grant select, insert, update on workflow_execution_logs, workflow_rule_guards, assignment_circles to cs_worker;
grant select, insert, delete on workflow_rule_deltas to cs_worker;
