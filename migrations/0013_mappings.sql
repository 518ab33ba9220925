-- Mapping metadata as rows (UC-03). The latest enabled version of a class replaces the file's whole class; with none enabled
-- the file counts. Mappings belong to the installation, because tables are shared by all tenants: no key begins with tenant_id.

create table mapping_definitions (
    class_name      text not null,
    version         integer not null check (version > 0),
    state           text not null default 'draft' check (state in ('draft', 'enabled', 'disabled')),
    -- In the words of the files under definitions/cases.
    body            jsonb not null check (body ->> 'className' = class_name),
    -- Raised by each change of this row; the sum over a class is what its ETag counts.
    revision        bigint not null default 1 check (revision > 0),
    author          text not null check (author <> ''),
    reason          text not null default '',
    created_at      timestamptz not null default cs_now(),
    published_at    timestamptz,
    published_by    text,
    disabled_at     timestamptz,
    disabled_by     text,
    disabled_reason text,
    primary key (class_name, version),
    check ((state = 'draft') = (published_at is null)),
    check ((published_at is null) = (published_by is null)),
    check ((state = 'disabled') = (disabled_at is not null)),
    check ((disabled_at is null) = (disabled_by is null))
);
create unique index mapping_definitions_one_draft on mapping_definitions (class_name) where state = 'draft';

-- One row: raised when the enabled mappings change, so that a process learns by reading one number whether to load them again.
-- Writers lock it: each sees the whole graph that it is judged by.
create table mapping_generation (
    only_row   boolean primary key default true check (only_row),
    generation bigint not null default 1,
    changed_at timestamptz not null default cs_now()
);
insert into mapping_generation default values;

-- A version's words never change once it is published, for the owner neither: what a table was built from stays to be read.
create function keep_mapping_versions() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and (new.class_name, new.version) = (old.class_name, old.version) and new.revision > old.revision then
        if old.state = 'draft' and new.state in ('draft', 'enabled') then
            return new;
        end if;
        if old.state = 'enabled' and new.state = 'disabled'
           and (new.body, new.author, new.reason, new.created_at, new.published_at, new.published_by)
               = (old.body, old.author, old.reason, old.created_at, old.published_at, old.published_by) then
            return new;
        end if;
    end if;
    raise exception '% on % refused: a published version stays as it is; write a draft', tg_op, tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
create trigger mapping_definitions_kept before update or delete on mapping_definitions
    for each row execute function keep_mapping_versions();
create trigger mapping_definitions_no_truncate before truncate on mapping_definitions
    for each statement execute function keep_mapping_versions();

alter table mapping_definitions enable row level security;
alter table mapping_definitions force row level security;
alter table mapping_generation enable row level security;
alter table mapping_generation force row level security;

grant select, insert, update on mapping_definitions to cs_api, cs_scan;
grant select on mapping_definitions to cs_worker;
grant select, update on mapping_generation to cs_api, cs_scan;
grant select on mapping_generation to cs_worker;

create policy mapping_definitions_api on mapping_definitions to cs_api using (true);
create policy mapping_definitions_scan on mapping_definitions to cs_scan using (true);
create policy mapping_definitions_worker on mapping_definitions for select to cs_worker using (true);
create policy mapping_generation_api on mapping_generation to cs_api using (true);
create policy mapping_generation_scan on mapping_generation to cs_scan using (true);
create policy mapping_generation_worker on mapping_generation for select to cs_worker using (true);

-- Check Path looks at the newest records of a class in a tenant.
create index sys_case_data_store_by_class on sys_case_data_store (tenant_id, class_name, seq desc) where not removed;
