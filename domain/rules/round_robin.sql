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

-- name: list_members
-- The members of active teams, in the order of their ids.
select t.tenant_id, t.team_id, m.user_id
from unnest(:tenant_ids::text[], :team_ids::text[]) as w (tenant_id, team_id)
join teams t on t.tenant_id = w.tenant_id and t.team_id = w.team_id and t.active
join team_members m on m.tenant_id = t.tenant_id and m.team_id = t.team_id
order by t.tenant_id, t.team_id, m.user_id;

-- name: list_active
select u.tenant_id, u.user_id
from unnest(:tenant_ids::text[], :user_ids::text[]) as w (tenant_id, user_id)
cross join lateral (
    select tenant_id, user_id from users where tenant_id = w.tenant_id and user_id = w.user_id and active) u;
