-- name: list_waiting_tenants
-- Whose entries wait for their links.
select distinct tenant_id from audit_unchained order by tenant_id;

-- name: list_unchained
-- Entries to link, in the order of their time.
select a.tenant_id, a.audit_id::text as audit_id, a.at, a.actor, a.action, a.object_type, a.object_id, a.reason,
       a.detail::text as detail
from audit_unchained q
join audit_log a on a.tenant_id = q.tenant_id and a.audit_id = q.audit_id
left join audit_chain c on c.tenant_id = q.tenant_id and c.audit_id = q.audit_id
where q.tenant_id = :tenant_id and c.audit_id is null
order by a.at, a.audit_id
limit :most;

-- name: find_end^
-- The last link.
select position, hash from audit_chain where tenant_id = :tenant_id order by position desc limit 1;

-- name: insert_links$
-- Append links while the lease is ours, and let their entries leave the queue; how many. Positions are taken once.
with made as (
    insert into audit_chain (tenant_id, position, audit_id, hash)
    select :tenant_id, l.position, l.audit_id, l.hash
    from unnest(:positions::bigint[], :audit_ids::uuid[], :hashes::bytea[]) as l (position, audit_id, hash)
    where exists (select from leases where name = :lease and term = :term)
    returning tenant_id, audit_id
), gone as (
    delete from audit_unchained q using made m where q.tenant_id = m.tenant_id and q.audit_id = m.audit_id
)
select count(*) from made;

-- name: find_last_head^
-- The last signed head, and the time now.
select h.number, h.length, h.signed_at, cs_now() as now
from (select cs_now() as now) t
left join lateral (
    select number, length, signed_at from audit_heads where tenant_id = :tenant_id order by number desc limit 1) h on true;

-- name: insert_head$
-- Keep a signed head while the lease is ours; its number, or nothing.
insert into audit_heads (tenant_id, number, length, head, signed_at, key_id, signature)
select :tenant_id, :number, :length, :head, :signed_at, :key_id, :signature
where exists (select from leases where name = :lease and term = :term)
returning number;
