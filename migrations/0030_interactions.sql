-- The interaction service (S0): a journey as a front end sees it. One row says which interaction is which instance; what S0 keeps in
-- two tables that two parties update is read from the instance, so that status has one owner (trap 75, decision 0030).

create table interactions (
    tenant_id           text not null references tenants,
    interaction_id      uuid not null,
    process_instance_id text not null,
    user_id             text not null,
    created_at          timestamptz not null default cs_now(),
    primary key (tenant_id, interaction_id),
    unique (tenant_id, process_instance_id),
    foreign key (tenant_id, process_instance_id) references onboarding_instance
);
create index interactions_of_user on interactions (user_id, tenant_id, created_at desc);
create trigger interactions_append_only before update or delete on interactions
    for each row execute function refuse_change();

-- What a front end is told of an instance. Whatever must be undone or mended behind it is none of its business.
create function interaction_status(p_status text, p_folded jsonb) returns text
language sql immutable parallel safe as $$
    select case p_status
        when 'ACTIVE' then case when p_folded ? 'current' then 'RUNNING' else 'AWAITING_INPUT' end
        when 'INCIDENT' then 'RUNNING'
        when 'COMPENSATING' then 'CLOSING'
        when 'COMPENSATION_FAILED' then 'CLOSING'
        when 'COMPENSATED' then case p_folded ->> 'ending' when 'rejected' then 'REJECTED' else 'CANCELED' end
        else p_status
    end
$$;

create view flw_int with (security_invoker = true) as
select n.tenant_id, n.interaction_id, o.flow, o.flow_version, o.instance_id as case_id, n.user_id, o.current_state,
       interaction_status(o.status, o.folded::jsonb) as status, coalesce((o.folded::jsonb ->> 'entry')::bigint, 0) as entry,
       o.version, n.created_at, o.entered_at, o.expires_at as expiry_time, o.ended_at
from interactions n
join onboarding_instance o on o.tenant_id = n.tenant_id and o.instance_id = n.process_instance_id;

create view flw_process_mapping with (security_invoker = true) as
select n.tenant_id, o.instance_id as case_id, n.user_id, n.process_instance_id, n.interaction_id,
       case when o.ended_at is null then 'RUNNING' else interaction_status(o.status, o.folded::jsonb) end as status,
       o.version, n.created_at
from interactions n
join onboarding_instance o on o.tenant_id = n.tenant_id and o.instance_id = n.process_instance_id;

alter table interactions enable row level security;
alter table interactions force row level security;
create policy interactions_api on interactions to cs_api using (tenant_id = app_tenant());
create policy interactions_worker on interactions to cs_worker using (tenant_id = any (app_tenants()));
grant select, insert on interactions to cs_api;
grant select on interactions to cs_worker;
revoke all on function interaction_status(text, jsonb) from public;
grant execute on function interaction_status(text, jsonb) to cs_api, cs_worker;
grant select on flw_int, flw_process_mapping to cs_api, cs_worker;

-- Who viewed or changed data of a person (IN-12) stands in the audit log, under `subject` of the detail.
create index audit_log_of_subject on audit_log (tenant_id, (detail ->> 'subject'), at desc, audit_id desc)
    where detail ? 'subject';
create index audit_log_of_accesses on audit_log (tenant_id, at desc, audit_id desc) where detail ? 'subject';
