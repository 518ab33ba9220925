-- Effects are found by their owner, whose id is unique among all tenants. With the tenant as a third column the planner counted one
-- descent for each tenant of the policy's array, and while the table has no statistics it took the primary key instead: every
-- look-up by owner read all of a tenant's effects.
drop index effects_of_owner;
create index effects_of_owner on effects (owner_id, owner_kind) where finished_at is null;
