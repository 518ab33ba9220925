-- Onboarding (S0, S2): definitions at design time, instances as the fold of their histories. What persons said, in events and in
-- cases, is sealed under the subject's key; every other column holds ids, codes and times.

-- A version of a flow, pinned when its first instance starts; it never changes. The text is the truth, onboarding_transition is
-- the same spread out for SQL, in the order in which S2 prints it.
create table flw_int_def (
    tenant_id  text not null references tenants,
    flow       text not null,
    version    integer not null check (version >= 1),
    title      text,
    definition text not null,
    created_at timestamptz not null default cs_now(),
    created_by text not null,
    primary key (tenant_id, flow, version)
);
create trigger flw_int_def_append_only before update or delete on flw_int_def
    for each row execute function refuse_change();

create table flw_case_def (
    tenant_id   text not null references tenants,
    name        text not null,
    version     integer not null check (version >= 1),
    data_schema text not null,
    created_at  timestamptz not null default cs_now(),
    created_by  text not null,
    primary key (tenant_id, name, version)
);
create trigger flw_case_def_append_only before update or delete on flw_case_def
    for each row execute function refuse_change();

create table onboarding_transition (
    flow_version        text not null,
    from_state          text not null,
    action              text not null,
    to_state            text not null,
    allowed_actors      text[] not null,
    is_async            boolean not null default false,
    max_retry           integer not null default 0,
    timeout             interval,
    compensation_action text,
    handler             text,
    flow                text not null default 'onboarding',
    tenant_id           text not null default app_tenant() references tenants,
    primary key (tenant_id, flow, flow_version, from_state, action)
);

-- The folded row: `folded` is the whole instance, the other columns are what is searched by. `version` is the number of the last
-- event, and the number on the topic.
create table onboarding_instance (
    tenant_id     text not null references tenants,
    instance_id   text not null check (instance_id <> ''),
    flow          text not null,
    flow_version  integer not null,
    user_id       text not null,
    status        text not null check (status in ('ACTIVE', 'AWAITING_REVIEWS', 'INCIDENT', 'COMPENSATING',
                                                  'COMPENSATION_FAILED', 'COMPLETED', 'REJECTED', 'CANCELED', 'COMPENSATED')),
    current_state text not null,
    version       bigint not null check (version >= 1),
    work_item_id  text,
    cycle         bigint not null default 0,
    folded        text not null,
    started_at    timestamptz not null,
    entered_at    timestamptz,
    expires_at    timestamptz,
    ended_at      timestamptz,
    primary key (tenant_id, instance_id),
    foreign key (tenant_id, flow, flow_version) references flw_int_def
) with (fillfactor = 70);
create index onboarding_instance_by_status on onboarding_instance (status, started_at desc, instance_id);
create index onboarding_instance_of_user on onboarding_instance (user_id, tenant_id);
create index onboarding_instance_of_work_item on onboarding_instance (work_item_id, tenant_id) where work_item_id is not null;

-- No foreign key to the instance: both are written by one statement of one package, and each event would pay for a look-up.
-- `data` is what a person said, sealed; `cause` stands at the first event of each decision.
create table workflow_event (
    tenant_id       text not null,
    instance_id     text not null,
    sequence_number bigint not null check (sequence_number >= 1),
    event_type      text not null,
    payload         text not null,
    data            bytea,
    cause           text,
    created_at      timestamptz not null,
    primary key (tenant_id, instance_id, sequence_number)
);
-- For S2's queries over all instances: of these there are few.
create index workflow_event_rare on workflow_event (event_type, created_at)
    where event_type in ('RECOVERY', 'SAGA_COMPENSATION', 'VERSION_MARKER', 'SLA_EXPIRED');
create trigger workflow_event_append_only before update or delete on workflow_event
    for each row execute function refuse_change();

-- One attempt. `result` is the number of the event that holds what its handler gave.
create table step_execution (
    tenant_id   text not null,
    instance_id text not null,
    step        bigint not null,
    attempt     bigint not null,
    state       text not null,
    action      text not null,
    handler     text not null,
    undoes      bigint,
    status      text not null check (status in ('RUNNING', 'COMPLETED', 'FAILED', 'TIMED_OUT')),
    code        text,
    result      bigint,
    due_at      timestamptz,
    started_at  timestamptz not null,
    ended_at    timestamptz,
    primary key (tenant_id, instance_id, step, attempt)
) with (fillfactor = 80);

-- The fold at a number, so that a long history need not be folded from its beginning.
create table state_snapshot (
    tenant_id       text not null,
    instance_id     text not null,
    sequence_number bigint not null,
    state           text not null,
    folded          text not null,
    created_at      timestamptz not null default cs_now(),
    primary key (tenant_id, instance_id, sequence_number)
);

-- What is known of the person by now; null once he is erased. The case of an instance has the instance's id.
create table flw_case (
    tenant_id  text not null,
    case_id    text not null,
    version    bigint not null check (version >= 1),
    subject_id text not null,
    case_data  bytea,
    updated_at timestamptz not null default cs_now(),
    primary key (tenant_id, case_id),
    foreign key (tenant_id, case_id) references onboarding_instance
) with (fillfactor = 70);
create index flw_case_of_subject on flw_case (subject_id, tenant_id) where case_data is not null;

-- Which work item asks for which decision.
create table onboarding_review_task (
    tenant_id    text not null,
    work_item_id text not null,
    instance_id  text not null,
    task         bigint not null,
    group_name   text not null,
    closed       boolean not null default false,
    primary key (tenant_id, work_item_id),
    unique (tenant_id, instance_id, task),
    foreign key (tenant_id, instance_id) references onboarding_instance
);

do $$
declare
    named text;
begin
    foreach named in array array['flw_int_def', 'flw_case_def', 'onboarding_transition', 'onboarding_instance',
        'workflow_event', 'step_execution', 'state_snapshot', 'flw_case', 'onboarding_review_task'] loop
        execute format('alter table %I enable row level security', named);
        execute format('alter table %I force row level security', named);
        execute format('create policy %I on %I to cs_api using (tenant_id = app_tenant())', named || '_api', named);
        execute format('create policy %I on %I to cs_worker using (tenant_id = any (app_tenants()))', named || '_worker', named);
    end loop;
end $$;

grant select, insert on flw_int_def, flw_case_def, onboarding_transition, workflow_event, state_snapshot
    to cs_api, cs_worker;
grant select, insert, update on onboarding_instance, step_execution, flw_case, onboarding_review_task to cs_api, cs_worker;
