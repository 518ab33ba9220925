-- name: list_known
-- Active users and teams, and rules, among those that were mentioned.
select 'user' as kind, u.user_id as name from users u
where u.tenant_id = :tenant_id and u.user_id = any (:users::text[]) and u.active
union all
select 'team', t.team_id from teams t
where t.tenant_id = :tenant_id and t.team_id = any (:teams::text[]) and t.active
union all
select 'rule', r.id::text from workflow_rules r
where r.tenant_id = :tenant_id and r.id::text = any (:rules::text[]) and not r.removed;
