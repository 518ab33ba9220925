-- name: look_up_people
-- For each wanted (tenant, user): is the tenant active, is the user (null: unknown), and the database's time.
select w.tenant_id, w.user_id, coalesce(t.active, false) as tenant_active, u.active as user_active, cs_now() as now
from unnest(:tenant_ids::text[], :user_ids::text[]) as w (tenant_id, user_id)
left join tenants t on t.tenant_id = w.tenant_id
left join users u on u.tenant_id = w.tenant_id and u.user_id = w.user_id;

-- name: list_members
-- The members of active teams, in the order of their ids.
select t.tenant_id, t.team_id, m.user_id
from unnest(:tenant_ids::text[], :team_ids::text[]) as w (tenant_id, team_id)
join teams t on t.tenant_id = w.tenant_id and t.team_id = w.team_id and t.active
join team_members m on m.tenant_id = t.tenant_id and m.team_id = t.team_id
order by t.tenant_id, t.team_id, m.user_id;

-- name: upsert_tenants
-- Add tenants or change their name, zone and holidays; active stays as it is. Those whose days are others than before, and the time.
insert into tenants as known (tenant_id, name, zone, holidays)
select t.tenant_id, t.name, t.zone, array(select jsonb_array_elements_text(t.holidays::jsonb)::date)
from unnest(:tenant_ids::text[], :names::text[], :zones::text[], :holidays::text[]) as t (tenant_id, name, zone, holidays)
order by t.tenant_id
on conflict (tenant_id) do update set name = excluded.name, zone = excluded.zone, holidays = excluded.holidays
returning new.tenant_id, cs_now() as now,
          old.tenant_id is not null and (old.zone, old.holidays) is distinct from (new.zone, new.holidays) as calendar_changed;

-- name: upsert_users!
-- Add users or change their name and roles; without a word on active it stays, and a new one is active.
insert into users as known (tenant_id, user_id, display_name, active, roles)
select u.tenant_id, u.user_id, u.display_name, coalesce(u.active, before.active, true),
       array(select jsonb_array_elements_text(u.roles::jsonb))
from unnest(:tenant_ids::text[], :user_ids::text[], :display_names::text[], :actives::boolean[], :roles::text[])
     as u (tenant_id, user_id, display_name, active, roles)
left join users before on before.tenant_id = u.tenant_id and before.user_id = u.user_id
order by u.tenant_id, u.user_id
on conflict (tenant_id, user_id) do update
set display_name = excluded.display_name, roles = excluded.roles, active = excluded.active, updated_at = cs_now();

-- name: upsert_teams!
-- Add teams or change their name.
insert into teams (tenant_id, team_id, name)
select t.tenant_id, t.team_id, t.name
from unnest(:tenant_ids::text[], :team_ids::text[], :names::text[]) as t (tenant_id, team_id, name)
order by t.tenant_id, t.team_id
on conflict (tenant_id, team_id) do update set name = excluded.name;

-- name: add_members!
-- Put users into teams; members stay members.
insert into team_members (tenant_id, team_id, user_id)
select m.tenant_id, m.team_id, m.user_id
from unnest(:tenant_ids::text[], :team_ids::text[], :user_ids::text[]) as m (tenant_id, team_id, user_id)
order by m.tenant_id, m.team_id, m.user_id
on conflict do nothing;

-- name: remove_members!
-- Take users out of a team.
delete from team_members
where tenant_id = :tenant_id and team_id = :team_id and user_id = any (:user_ids::text[]);

-- name: set_tenants_active
-- Switch tenants on or off; the ids that exist.
update tenants set active = :active where tenant_id = any (:tenant_ids::text[]) returning tenant_id as id;

-- name: set_users_active
-- Switch a tenant's users on or off; the ids that exist.
update users set active = :active, updated_at = cs_now()
where tenant_id = :tenant_id and user_id = any (:user_ids::text[]) returning user_id as id;

-- name: set_teams_active
-- Switch a tenant's teams on or off; the ids that exist.
update teams set active = :active where tenant_id = :tenant_id and team_id = any (:team_ids::text[]) returning team_id as id;

-- name: list_tenants
-- One page of tenants by id.
select tenant_id, name, zone, holidays, active, created_at
from tenants
where (:after::text is null or tenant_id > :after)
order by tenant_id
limit :page_size;

-- name: list_users
-- One page of a tenant's users by id; of one team, or only (in)active ones, when asked.
select u.tenant_id, u.user_id, u.display_name, u.active, u.roles, u.created_at, u.updated_at
from users u
where u.tenant_id = :tenant_id
  and (:after::text is null or u.user_id > :after)
  and (:active::boolean is null or u.active = :active)
  and (:team_id::text is null or exists (
        select from team_members m where m.tenant_id = u.tenant_id and m.team_id = :team_id and m.user_id = u.user_id))
order by u.user_id
limit :page_size;

-- name: list_teams
-- One page of a tenant's teams by id, with their members.
select t.tenant_id, t.team_id, t.name, t.active, t.created_at,
       array(select m.user_id from team_members m
             where m.tenant_id = t.tenant_id and m.team_id = t.team_id order by m.user_id) as member_ids
from teams t
where t.tenant_id = :tenant_id and (:after::text is null or t.team_id > :after)
order by t.team_id
limit :page_size;
