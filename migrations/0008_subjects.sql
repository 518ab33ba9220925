-- Subjects whose keys were destroyed. Every transaction that encrypts or decrypts reads this ledger under the shared lock of
-- the subject's bucket (domain/keys/guard.py); a row here is for ever.

-- No foreign key to tenants: a ledger is applied after the restore of a backup that may not know the tenant yet.
-- subject_id is a surrogate id, as in every key and event. reason and requested_by are an operator's words about the order.
create table shredded_subjects (
    tenant_id         text not null check (tenant_id <> ''),
    subject_id        text not null check (subject_id <> ''),
    shred_id          uuid not null,
    ordered_at        timestamptz not null,
    requested_by      text not null,
    reason            text not null,
    -- When this database learned of it, when the wrapped keys were gone, when the last row was purged; null: not yet.
    entered_at        timestamptz not null default cs_now(),
    keys_destroyed_at timestamptz,
    keys_destroyed    integer not null default 0,
    purged_at         timestamptz,
    -- Rows by table, summed over all rounds: the proof report.
    purged            jsonb not null default '{}',
    primary key (tenant_id, subject_id)
);
-- What is left to do: nearly always nothing.
create index shredded_subjects_unfinished on shredded_subjects (ordered_at) where purged_at is null;

alter table shredded_subjects enable row level security;
alter table shredded_subjects force row level security;

-- A row destroys data, so the HTTP door may not write one. cs_scan finds what is unfinished and applies ledgers at a start.
grant select on shredded_subjects to cs_api;
-- Only progress is ever updated.
grant select, insert, update (keys_destroyed_at, keys_destroyed, purged_at, purged) on shredded_subjects to cs_worker;
grant select, insert on shredded_subjects to cs_scan;
create policy shredded_subjects_api on shredded_subjects for select to cs_api using (tenant_id = app_tenant());
create policy shredded_subjects_worker on shredded_subjects to cs_worker using (tenant_id = any (app_tenants()));
create policy shredded_subjects_scan on shredded_subjects to cs_scan using (true);

create function refuse_forgetting() returns trigger language plpgsql as $$
begin
    raise exception '% on % refused: what was erased stays erased', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger shredded_subjects_stay before delete on shredded_subjects
    for each row execute function refuse_forgetting();
create trigger shredded_subjects_no_truncate before truncate on shredded_subjects
    for each statement execute function refuse_forgetting();
