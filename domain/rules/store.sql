-- name: next_generation^
-- Lock the tenant's rules and draw the number of this change; how many rules there are.
insert into workflow_rule_sets as s (tenant_id, generation, rules) values (:tenant_id, 1, 0)
on conflict (tenant_id) do update set generation = s.generation + 1
returning generation, rules;

-- name: count_rules!
-- One rule more or less, under the lock that next_generation took.
update workflow_rule_sets set rules = rules + :change where tenant_id = :tenant_id;

-- name: insert_rule!
insert into workflow_rules
    (tenant_id, id, version, generation, name, description, trigger_type, entity_type, trigger_field, is_active, priority,
     max_executions_per_entity, cron_expression, schedule_timezone, created_by, updated_by)
values
    (:tenant_id, :id::uuid, 1, :generation, :name, :description, :trigger_type, :entity_type, :trigger_field, :is_active,
     :priority, :max_executions_per_entity, :cron_expression, :schedule_timezone, :author, :author);

-- name: update_rule$
-- Another version of the rule, if nobody was faster; its number. What was inactive becomes active from now on.
update workflow_rules
set version = version + 1, generation = :generation, name = :name, description = :description, trigger_type = :trigger_type,
    entity_type = :entity_type, trigger_field = :trigger_field, priority = :priority, is_active = :is_active,
    max_executions_per_entity = :max_executions_per_entity, cron_expression = :cron_expression,
    schedule_timezone = :schedule_timezone, removed = :removed,
    active_since = case when is_active and trigger_type = :trigger_type then active_since else cs_now() end,
    updated_at = cs_now(), updated_by = :author
where tenant_id = :tenant_id and id = :id::uuid and version = :expected and not removed
returning version;

-- name: insert_version!
insert into workflow_rule_versions (tenant_id, rule_id, version, definition, is_active, author, reason)
values (:tenant_id, :id::uuid, :version, :definition, :is_active, :author, :reason);

-- name: delete_conditions!
delete from workflow_conditions where tenant_id = :tenant_id and rule_id = :id::uuid;

-- name: insert_conditions!
-- The current version's conditions as rows, parents before their children.
insert into workflow_conditions
    (tenant_id, rule_id, id, condition_order, field_name, operator, value, value_type, logical_operator, parent_condition_id,
     group_order, check_old_value, old_value_comparison, null_matches)
select :tenant_id, :id::uuid, c.id, c.condition_order, c.field_name, c.operator, c.value, c.value_type, c.logical_operator,
       c.parent_condition_id, c.group_order, c.check_old_value, c.old_value_comparison, c.null_matches
from jsonb_to_recordset(:conditions::jsonb)
     as c (id integer, condition_order integer, field_name text, operator text, value text, value_type text,
           logical_operator text, parent_condition_id integer, group_order integer, check_old_value boolean,
           old_value_comparison text, null_matches boolean);

-- name: delete_actions!
delete from workflow_actions where tenant_id = :tenant_id and rule_id = :id::uuid;

-- name: insert_actions!
-- The current version's actions as rows.
insert into workflow_actions
    (tenant_id, rule_id, action_order, action_type, configuration, stop_on_failure, retry_count, retry_delay_seconds, is_async,
     delay_seconds)
select :tenant_id, :id::uuid, a.action_order, a.action_type, a.configuration, a.stop_on_failure, a.retry_count,
       a.retry_delay_seconds, a.is_async, a.delay_seconds
from jsonb_to_recordset(:actions::jsonb)
     as a (action_order integer, action_type text, configuration text, stop_on_failure boolean, retry_count integer,
           retry_delay_seconds integer, is_async boolean, delay_seconds integer);

-- name: find_rule^
-- A rule with its current definition and its statistics, deltas that are not folded yet included.
select r.id::text as id, r.version, r.is_active, r.active_since, r.created_at, r.created_by, r.updated_at, r.updated_by,
       v.definition,
       r.execution_count + coalesce(d.executions, 0) as execution_count,
       r.success_count + coalesce(d.successes, 0) as success_count,
       r.failure_count + coalesce(d.failures, 0) as failure_count
from workflow_rules r
join workflow_rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.id and v.version = r.version
left join lateral (
    select sum(executions)::bigint as executions, sum(successes)::bigint as successes, sum(failures)::bigint as failures
    from workflow_rule_deltas x where x.tenant_id = r.tenant_id and x.rule_id = r.id) d on true
where r.tenant_id = :tenant_id and r.id = :id::uuid and not r.removed;

-- name: list_rules
-- A page of the tenant's rules in the order in which they run (RU-14).
select r.id::text as id, r.version, r.is_active, r.active_since, r.created_at, r.created_by, r.updated_at, r.updated_by,
       v.definition,
       r.execution_count + coalesce(d.executions, 0) as execution_count,
       r.success_count + coalesce(d.successes, 0) as success_count,
       r.failure_count + coalesce(d.failures, 0) as failure_count,
       count(*) over () as total
from workflow_rules r
join workflow_rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.id and v.version = r.version
left join lateral (
    select sum(executions)::bigint as executions, sum(successes)::bigint as successes, sum(failures)::bigint as failures
    from workflow_rule_deltas x where x.tenant_id = r.tenant_id and x.rule_id = r.id) d on true
where r.tenant_id = :tenant_id and not r.removed
  and (:entity_type::text is null or r.entity_type = :entity_type)
  and (:is_active::boolean is null or r.is_active = :is_active)
order by r.priority, r.id
limit :size offset :skip;

-- name: list_versions
-- Every version of a rule, the newest first.
select version, definition, is_active, author, reason, created_at
from workflow_rule_versions
where tenant_id = :tenant_id and rule_id = :id::uuid
order by version desc;

-- name: find_version^
select version, definition, is_active, author, reason, created_at
from workflow_rule_versions
where tenant_id = :tenant_id and rule_id = :id::uuid and version = :version;

-- name: list_generations
-- How far each of these tenants' rules are, and the calendar by which they are judged.
select w.tenant_id, s.generation, t.zone, t.holidays
from unnest(:tenant_ids::text[]) as w (tenant_id)
cross join lateral (select generation from workflow_rule_sets where tenant_id = w.tenant_id) s
cross join lateral (select zone, holidays from tenants where tenant_id = w.tenant_id) t;

-- name: read_transaction^
-- This transaction, and which of these have committed. Of a number that a restored database has not reached nothing is known.
select pg_current_xact_id()::text::bigint as xid,
       array(select x from unnest(:told::bigint[]) as u (x)
             where case when x < pg_current_xact_id()::text::bigint
                        then pg_xact_status(x::text::xid8) = 'committed' end) as committed;

-- name: list_changed
-- A page of the rules of a tenant that changed after a generation, whatever they are now, the oldest change first.
select r.id::text as id, r.version, r.generation, r.is_active, r.active_since, r.created_at, r.name, v.definition
from workflow_rules r
join workflow_rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.id and v.version = r.version
where r.tenant_id = :tenant_id and r.generation > :after
order by r.generation
fetch first (:most::integer) rows with ties;

-- name: list_logs
-- A page of a rule's runs, the newest first. Skips that are only shown now and then are listed when they are asked for.
select id::text as id, rule_id::text as rule_id, rule_version, rule_name, entity_type, entity_id, trigger_type, occurrence,
       status, error_message, started_at, completed_at, execution_time_ms, actions_total, actions_completed, actions_failed,
       actions_skipped, sampled, count(*) over () as total
from workflow_execution_logs
where tenant_id = :tenant_id and rule_id = :rule_id::uuid
  and case when :status::text is null then not sampled else status = :status end
order by started_at desc, id desc
limit :size offset :skip;

-- name: find_log^
-- One run, whole.
select id::text as id, rule_id::text as rule_id, rule_version, rule_name, entity_type, entity_id, trigger_type, occurrence,
       status, error_message, error_stack_trace, started_at, completed_at, execution_time_ms, actions_total,
       actions_completed, actions_failed, actions_skipped, sampled, input_data, output_data, trace, causation
from workflow_execution_logs
where tenant_id = :tenant_id and rule_id = :rule_id::uuid and id = :id::uuid;

-- name: fold_deltas$
-- A batch of deltas added to their rules' statistics, for the connection's tenants, while the lease holds; how many went.
with gone as (
    delete from workflow_rule_deltas d
    where d.ctid in (select ctid from workflow_rule_deltas where tenant_id = any (app_tenants()) limit :most)
      and exists (select from leases where name = :lease and term = :term and expires_at > cs_now())
    returning tenant_id, rule_id, executions, successes, failures
), folded as (
    update workflow_rules r
    set execution_count = r.execution_count + s.executions, success_count = r.success_count + s.successes,
        failure_count = r.failure_count + s.failures
    from (select tenant_id, rule_id, sum(executions) as executions, sum(successes) as successes, sum(failures) as failures
          from gone group by tenant_id, rule_id order by tenant_id, rule_id) s
    where r.tenant_id = s.tenant_id and r.id = s.rule_id
    returning 1
)
select count(*) from gone;

-- name: list_definitions
-- What every rule of a tenant says now.
select r.id::text as id, v.definition
from workflow_rules r
join workflow_rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.id and v.version = r.version
where r.tenant_id = :tenant_id and not r.removed
order by r.priority, r.id;

-- name: read_now$
select cs_now();
