-- The keys database: wrapped data keys and the ledger of destroyed ones. Nothing else of Casestream is here, and these rows
-- are nowhere else: its backups are kept for a short time, so that a destroyed key is soon gone from them too.
-- Login roles (cs_migrate, cs_keys) are made before this by deploy/database/keys.sql.

revoke all on schema public from public;
grant usage on schema public to cs_keys;

-- One row per data key, wrapped by the key-encryption key kek_id. A subject's current key has the highest generation.
create table data_keys (
    tenant_id  text not null check (tenant_id <> ''),
    subject_id text not null check (subject_id <> ''),
    key_id     uuid not null,
    generation integer not null check (generation >= 1),
    kek_id     text not null check (kek_id <> ''),
    wrapped    bytea not null,
    created_at timestamptz not null default statement_timestamp(),
    wrapped_at timestamptz not null default statement_timestamp(),
    primary key (tenant_id, subject_id, key_id),
    -- Two processes that make a subject's first key at once: one of them wins, both use it.
    unique (tenant_id, subject_id, generation)
);
create index data_keys_by_kek on data_keys (kek_id, tenant_id, subject_id, key_id);

-- The ledger: whose keys were ordered to be destroyed. A row is for ever; a subject in it never gets a key again.
create table shredded_subjects (
    tenant_id    text not null check (tenant_id <> ''),
    subject_id   text not null check (subject_id <> ''),
    shred_id     uuid not null,
    ordered_at   timestamptz not null default statement_timestamp(),
    requested_by text not null,
    reason       text not null,
    -- When this database learned of it: what other processes look for.
    entered_at   timestamptz not null default statement_timestamp(),
    primary key (tenant_id, subject_id)
);
create index shredded_subjects_by_entry on shredded_subjects (entered_at);

create function refuse_forgetting() returns trigger language plpgsql as $$
begin
    raise exception '% on % refused: what was erased stays erased', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger shredded_subjects_stay before update or delete on shredded_subjects
    for each row execute function refuse_forgetting();
create trigger shredded_subjects_no_truncate before truncate on shredded_subjects
    for each statement execute function refuse_forgetting();

-- The ledger decides, whatever a caller forgot: no key is made for a subject in it.
create function refuse_key_of_shredded() returns trigger language plpgsql as $$
begin
    if exists (select from shredded_subjects s where s.tenant_id = new.tenant_id and s.subject_id = new.subject_id) then
        return null;
    end if;
    return new;
end $$;
create trigger data_keys_not_of_shredded before insert on data_keys
    for each row execute function refuse_key_of_shredded();

alter table data_keys enable row level security;
alter table data_keys force row level security;
alter table shredded_subjects enable row level security;
alter table shredded_subjects force row level security;

-- A key is wrapped anew, never renamed or moved to another subject.
grant select, insert, delete, update (wrapped, kek_id, wrapped_at) on data_keys to cs_keys;
grant select, insert on shredded_subjects to cs_keys;
create policy data_keys_keys on data_keys to cs_keys using (true);
create policy shredded_subjects_keys on shredded_subjects to cs_keys using (true);
