-- name: make_circles!
-- Rows for circles that have none yet. A statement of its own: only the next one sees what another transaction made meanwhile.
insert into assignment_circles (tenant_id, name)
select tenant_id, name from unnest(:tenant_ids::text[], :names::text[]) as t (tenant_id, name)
order by tenant_id, name
on conflict do nothing;

-- name: lock_circles
-- Who was last in each circle, locked in one order.
select c.tenant_id, c.name, c.last_user
from (select * from unnest(:tenant_ids::text[], :names::text[]) as t (tenant_id, name) order by tenant_id, name) w
cross join lateral (
    select * from assignment_circles k where k.tenant_id = w.tenant_id and k.name = w.name for update) c;

-- name: save_circles!
update assignment_circles c set last_user = n.last_user
from unnest(:tenant_ids::text[], :names::text[], :users::text[]) as n (tenant_id, name, last_user)
where c.tenant_id = n.tenant_id and c.name = n.name;

-- name: list_active
select u.tenant_id, u.user_id
from unnest(:tenant_ids::text[], :user_ids::text[]) as w (tenant_id, user_id)
cross join lateral (
    select tenant_id, user_id from users where tenant_id = w.tenant_id and user_id = w.user_id and active) u;
