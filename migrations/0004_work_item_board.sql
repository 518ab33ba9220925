-- The analysts' board of work items: table versions behind a stable view. Every version is a consumer of its own.

create table projections.work_item_board__v1 (
    tenant_id                text not null,
    work_item_id             text not null,
    status                   text not null,
    priority                 text,
    assignee_id              text,
    request_type             text,
    activity_area            text,
    business_group           text,
    process                  text,
    scope                    text,
    due_at                   timestamptz,
    drafted_at               timestamptz,
    opened_at                timestamptz,
    resolved_at              timestamptz,
    closed_at                timestamptz,
    reopen_count             integer not null default 0,
    assignment_count         integer not null default 0,
    status_since             timestamptz not null,
    seconds_draft            double precision not null default 0,
    seconds_open             double precision not null default 0,
    seconds_in_progress      double precision not null default 0,
    seconds_waiting_internal double precision not null default 0,
    seconds_waiting_customer double precision not null default 0,
    seconds_waiting_external double precision not null default 0,
    seconds_resolved         double precision not null default 0,
    last_change_at           timestamptz not null,
    version                  bigint not null,
    ce_source                text not null,
    ce_sequence              bigint not null,
    primary key (tenant_id, work_item_id)
) with (fillfactor = 80);

comment on table projections.work_item_board__v1 is 'One row per work item, folded from work-items.events.v1';
comment on column projections.work_item_board__v1.status is 'Current status (work-items.events.v1: newStatus)';
comment on column projections.work_item_board__v1.assignee_id is 'Current assignee (WorkItemAssigned.newAssigneeId)';
comment on column projections.work_item_board__v1.opened_at is 'When the item was first sent, in business time (occurredAt)';
comment on column projections.work_item_board__v1.resolved_at is 'When it was last resolved; empty again after a reopening';
comment on column projections.work_item_board__v1.closed_at is 'When it ended (closed, canceled, rejected); empty again after a reopening';
comment on column projections.work_item_board__v1.reopen_count is 'How often it was reopened';
comment on column projections.work_item_board__v1.assignment_count is 'How often the assignee changed';
comment on column projections.work_item_board__v1.status_since is 'Since when it has its current status';
comment on column projections.work_item_board__v1.seconds_draft is 'Seconds spent as draft, without the current stay';
comment on column projections.work_item_board__v1.seconds_open is 'Seconds spent open, without the current stay';
comment on column projections.work_item_board__v1.seconds_in_progress is 'Seconds spent in progress, without the current stay';
comment on column projections.work_item_board__v1.seconds_waiting_internal is 'Seconds spent waiting for colleagues, without the current stay';
comment on column projections.work_item_board__v1.seconds_waiting_customer is 'Seconds spent waiting for the customer, without the current stay';
comment on column projections.work_item_board__v1.seconds_waiting_external is 'Seconds spent waiting for a third party, without the current stay';
comment on column projections.work_item_board__v1.seconds_resolved is 'Seconds spent resolved, without the current stay';
comment on column projections.work_item_board__v1.last_change_at is 'Business time of the last event';
comment on column projections.work_item_board__v1.version is 'Version of the item after the last event';
comment on column projections.work_item_board__v1.ce_source is 'Writer of the last applied event';
comment on column projections.work_item_board__v1.ce_sequence is 'Number of the last applied event';

-- Rights of a table version: written by the projector, read by the API within its tenant and by analysts within their login's.
create function grant_table_version(identifier regclass) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', identifier);
    execute format('alter table %s force row level security', identifier);
    execute format('grant select, insert, update, delete on %s to cs_worker', identifier);
    execute format('grant select on %s to cs_api, cs_analyst', identifier);
    execute format('create policy projector on %s to cs_worker using (tenant_id = any (app_tenants()))', identifier);
    execute format('create policy reader on %s for select to cs_api using (tenant_id = app_tenant())', identifier);
    execute format('create policy analyst on %s for select to cs_analyst using (tenant_id in '
                   '(select a.tenant_id from analyst_tenants a where a.role_name = session_user))', identifier);
end $$;

-- Another version of a table: the same columns, comments and rights, and nothing in it.
create function create_table_version(name text, version integer) returns boolean language plpgsql as $$
declare
    first text := format('projections.%I', name || '__v1');
    next  text := format('projections.%I', name || '__v' || version);
begin
    if to_regclass(next) is not null then
        return false;
    end if;
    execute format('create table %s (like %s including all)', next, first);
    perform grant_table_version(next::regclass);
    return true;
end $$;
revoke all on function grant_table_version(regclass), create_table_version(text, integer) from public;

select grant_table_version('projections.work_item_board__v1');

create view analytics.work_item_board with (security_invoker = true) as
select tenant_id, work_item_id, status, priority, assignee_id, request_type, activity_area, business_group, process, scope,
       due_at, drafted_at, opened_at, resolved_at, closed_at, reopen_count, assignment_count, status_since,
       seconds_draft, seconds_open, seconds_in_progress, seconds_waiting_internal, seconds_waiting_customer,
       seconds_waiting_external, seconds_resolved, last_change_at
from projections.work_item_board__v1;
comment on view analytics.work_item_board is 'Work items as they stand: one row per item (serves version 1)';
grant select on analytics.work_item_board to cs_api, cs_analyst;
