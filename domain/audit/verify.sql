-- name: count_links$
-- How far the chain goes.
select coalesce(max(position), 0) from audit_chain where tenant_id = :tenant_id;

-- name: page_of_chain
-- Links with their entries, behind `after`; an entry that is gone is null.
select c.position, c.audit_id::text as link_id, c.hash, a.tenant_id, a.audit_id::text as audit_id, a.at, a.actor, a.action,
       a.object_type, a.object_id, a.reason, a.detail::text as detail
from audit_chain c
left join audit_log a on a.tenant_id = c.tenant_id and a.audit_id = c.audit_id
where c.tenant_id = :tenant_id and c.position > :after and c.position <= :until
order by c.position
limit :page_size;

-- name: page_of_log^
-- A page of entries by id: where it ended, and those that are neither linked nor waiting.
with page as (
    select a.audit_id from audit_log a
    where a.tenant_id = :tenant_id and a.audit_id > :after::uuid
    order by a.audit_id
    limit :page_size
)
select (array_agg(p.audit_id order by p.audit_id desc))[1]::text as last, count(*) as entries,
       coalesce(array_agg(p.audit_id::text order by p.audit_id) filter (where c.position is null and q.audit_id is null), '{}')
           as loose
from page p
left join audit_chain c on c.tenant_id = :tenant_id and c.audit_id = p.audit_id
left join audit_unchained q on q.tenant_id = :tenant_id and q.audit_id = p.audit_id;

-- name: list_lost
-- Waiting entries that are gone.
select q.audit_id::text as audit_id
from audit_unchained q
left join audit_log a on a.tenant_id = q.tenant_id and a.audit_id = q.audit_id
where q.tenant_id = :tenant_id and a.audit_id is null
order by q.audit_id;

-- name: list_heads
-- Signed heads, in their order.
select tenant_id, number, length, head, signed_at, key_id, signature
from audit_heads
where tenant_id = :tenant_id
order by number;

-- name: list_chains$
-- Whose chains there may be.
select coalesce(array_agg(distinct tenant_id), '{}')
from (select tenant_id from tenants union select tenant_id from audit_heads union select '') t;
