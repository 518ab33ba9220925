-- name: lock_guards
-- What the rules did to the entities, locked in the one order that every starter uses; made where there is no row yet. The update
-- changes nothing: it waits for whoever holds the row, and reads what he left.
insert into workflow_rule_guards as g (tenant_id, rule_id, entity_key)
select tenant_id, rule_id, entity_key
from unnest(:tenant_ids::text[], :rule_ids::uuid[], :entity_keys::text[]) as t (tenant_id, rule_id, entity_key)
order by tenant_id, rule_id, entity_key
on conflict (tenant_id, rule_id, entity_key) do update set executions = g.executions
returning g.tenant_id, g.rule_id::text as rule_id, g.entity_key, g.executions, g.window_started, g.window_runs;

-- name: save_guards!
-- The locked guards as the admitted runs leave them. Each is found by its key: an update that joins an array reads a tenant's
-- guards for each of its entries while the table has no statistics.
insert into workflow_rule_guards (tenant_id, rule_id, entity_key, executions, window_started, window_runs)
select * from unnest(:tenant_ids::text[], :rule_ids::uuid[], :entity_keys::text[], :executions::bigint[],
                     :window_started::timestamptz[], :window_runs::integer[])
on conflict (tenant_id, rule_id, entity_key) do update
set executions = excluded.executions, window_started = excluded.window_started, window_runs = excluded.window_runs;

-- name: find_runs
-- Which of these runs exist already: the occurrences that are old news, whatever inbox and offsets say. `offset 0` here and
-- below keeps the look-up by key for each: joined, a tenant's runs would be read for each of them while there are no statistics.
select r.tenant_id, r.id::text as id
from unnest(:tenant_ids::text[], :ids::uuid[]) as w (tenant_id, id)
cross join lateral (
    select l.tenant_id, l.id from workflow_execution_logs l where l.tenant_id = w.tenant_id and l.id = w.id offset 0) r;

-- name: insert_runs!
-- New runs as they stand after their first actions, and what they add to the rules' statistics; each one JSON array, because unnest
-- makes a tuplestore of each argument.
with counted as (
    insert into workflow_rule_deltas (tenant_id, rule_id, executions, successes, failures)
    select * from jsonb_to_recordset(:deltas::jsonb)
         as d (tenant_id text, rule_id uuid, executions integer, successes integer, failures integer)
)
insert into workflow_execution_logs
    (tenant_id, id, rule_id, rule_version, rule_name, entity_type, entity_id, subject_id, trigger_type, occurrence, status,
     error_message, started_at, completed_at, input_data, output_data, trace, causation, actions_total, actions_completed,
     actions_failed, actions_skipped, sampled)
select r.tenant_id, r.id, r.rule_id, r.rule_version, r.rule_name, r.entity_type, r.entity_id, r.subject_id, r.trigger_type,
       r.occurrence, r.status, r.error_message, r.started_at, r.completed_at, r.input_data, r.output_data, r.trace,
       r.causation, r.actions_total, r.actions_completed, r.actions_failed, r.actions_skipped, coalesce(r.sampled, false)
from jsonb_to_recordset(:runs::jsonb)
     as r (tenant_id text, id uuid, rule_id uuid, rule_version bigint, rule_name text, entity_type text, entity_id text,
           subject_id text, trigger_type text, occurrence text, status text, error_message text, started_at timestamptz,
           completed_at timestamptz, input_data text, output_data text, trace text, causation text[],
           actions_total integer, actions_completed integer, actions_failed integer, actions_skipped integer,
           sampled boolean)
order by r.tenant_id, r.id
on conflict (tenant_id, id) do nothing;

-- name: lock_runs
-- Runs whose actions have outcomes, locked in one order, with what a next step must know.
select l.tenant_id, l.id::text as id, l.rule_id::text as rule_id, l.rule_version, l.rule_name, l.entity_type, l.entity_id,
       l.subject_id, l.trigger_type, l.status, l.started_at, l.output_data, l.causation
from (select * from unnest(:tenant_ids::text[], :ids::uuid[]) as t (tenant_id, id) order by tenant_id, id) w
cross join lateral (
    select * from workflow_execution_logs k where k.tenant_id = w.tenant_id and k.id = w.id for update) l;

-- name: hold_runs
-- Lock runs in one order, and read nothing of them.
select 1
from (select * from unnest(:tenant_ids::text[], :ids::uuid[]) as t (tenant_id, id) order by tenant_id, id) w
cross join lateral (
    select from workflow_execution_logs k where k.tenant_id = w.tenant_id and k.id = w.id for update) l;

-- name: list_chains
-- Which rule each of these runs is of, and what led to it.
select l.tenant_id, l.id::text as id, l.rule_id::text as rule_id, l.causation
from unnest(:tenant_ids::text[], :ids::uuid[]) as w (tenant_id, id)
cross join lateral (
    select * from workflow_execution_logs k where k.tenant_id = w.tenant_id and k.id = w.id offset 0) l;

-- name: save_runs!
-- Locked runs one step on, and what that adds to the rules' statistics. `any (array(...))` keeps the update from reading a tenant's runs to find the few that it wants.
with counted as (
    insert into workflow_rule_deltas (tenant_id, rule_id, executions, successes, failures)
    select * from jsonb_to_recordset(:deltas::jsonb)
         as d (tenant_id text, rule_id uuid, executions integer, successes integer, failures integer)
), r as materialized (
    select * from jsonb_to_recordset(:runs::jsonb)
         as t (tenant_id text, id uuid, status text, completed_at timestamptz, output_data text, error_message text,
               actions_completed integer, actions_failed integer, actions_skipped integer)
)
update workflow_execution_logs l
set status = r.status, completed_at = r.completed_at, output_data = r.output_data, error_message = r.error_message,
    actions_completed = r.actions_completed, actions_failed = r.actions_failed, actions_skipped = r.actions_skipped
from r
where l.tenant_id = r.tenant_id and l.id = r.id
  and l.tenant_id = any (array(select tenant_id from r)) and l.id = any (array(select id from r));

-- name: empty_runs!
-- A batch of a subject's runs without what they saw.
update workflow_execution_logs set input_data = null, trace = null
where (tenant_id, id) in (
    select tenant_id, id from workflow_execution_logs
    where subject_id = :subject_id and tenant_id = :tenant_id and trace is not null
    limit :most);

-- name: delete_samples!
-- A batch of shown skips that are old, for the connection's tenants, while the lease holds. Every other row is for ever.
delete from workflow_execution_logs
where ctid in (select ctid from workflow_execution_logs
               where tenant_id = any (app_tenants()) and sampled and started_at <= cs_now() - :age::interval limit :most)
  and exists (select from leases where name = :lease and term = :term and expires_at > cs_now());
