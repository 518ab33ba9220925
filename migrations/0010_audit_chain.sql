-- The audit log's chain: who looks later can tell that no entry was changed, removed or slipped in (domain/audit/chain.py).
-- Every table here is insert-only; only the queue is emptied. An insert into audit_log stays as cheap as it was: it is
-- linked afterwards, by one leased chainer.

-- Entries that wait for their link. Filled by a trigger, so that whoever inserts forgets nothing and a late commit is seen.
create table audit_unchained (
    tenant_id text not null,
    audit_id  uuid not null,
    primary key (tenant_id, audit_id)
);

-- Position n links the entry to the one at n - 1. Two chainers cannot take the same position.
create table audit_chain (
    tenant_id text not null,
    position  bigint not null check (position >= 1),
    audit_id  uuid not null,
    hash      bytea not null check (octet_length(hash) = 32),
    primary key (tenant_id, position),
    unique (tenant_id, audit_id)
);

-- What was signed and published; `number` is the event's sequence on audit.heads.v1. The copies there are out of reach here.
create table audit_heads (
    tenant_id text not null,
    number    bigint not null check (number >= 1),
    length    bigint not null check (length >= 1),
    head      bytea not null check (octet_length(head) = 32),
    signed_at timestamptz not null,
    key_id    text not null,
    signature bytea not null check (octet_length(signature) = 64),
    primary key (tenant_id, number)
);

create function queue_for_chain() returns trigger language plpgsql as $$
begin
    insert into audit_unchained (tenant_id, audit_id) values (new.tenant_id, new.audit_id);
    return null;
end $$;
create trigger audit_log_queue after insert on audit_log for each row execute function queue_for_chain();
insert into audit_unchained (tenant_id, audit_id) select tenant_id, audit_id from audit_log;

create trigger audit_chain_append_only before update or delete on audit_chain
    for each row execute function refuse_change();
create trigger audit_chain_no_truncate before truncate on audit_chain
    for each statement execute function refuse_change();
create trigger audit_heads_append_only before update or delete on audit_heads
    for each row execute function refuse_change();
create trigger audit_heads_no_truncate before truncate on audit_heads
    for each statement execute function refuse_change();

alter table audit_unchained enable row level security;
alter table audit_unchained force row level security;
alter table audit_chain enable row level security;
alter table audit_chain force row level security;
alter table audit_heads enable row level security;
alter table audit_heads force row level security;

-- Whoever may insert into audit_log queues. The chainer finds tenants as cs_scan and links as cs_worker, tenant by tenant.
grant insert on audit_unchained to cs_api;
grant select, insert on audit_unchained to cs_scan;
grant select, insert, delete on audit_unchained to cs_worker;
grant select, insert on audit_chain, audit_heads to cs_worker;
grant select on audit_heads to cs_scan;

create policy audit_unchained_api on audit_unchained for insert to cs_api with check (tenant_id = app_tenant());
create policy audit_unchained_scan on audit_unchained to cs_scan using (true);
create policy audit_unchained_worker on audit_unchained to cs_worker
    using (tenant_id = any (app_tenants()) or tenant_id = '');
create policy audit_chain_worker on audit_chain to cs_worker using (tenant_id = any (app_tenants()) or tenant_id = '');
create policy audit_heads_worker on audit_heads to cs_worker using (tenant_id = any (app_tenants()) or tenant_id = '');
create policy audit_heads_scan on audit_heads for select to cs_scan using (true);
