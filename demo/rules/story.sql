-- name: count_told$
-- Changes of this run that the newest values of its entities hold: every change counts one version.
select coalesce(sum(version), 0) from entity_state where tenant_id = :tenant_id and entity_id like :run;

-- name: list_runs
-- Runs of this run's entities by rule and status; what was held back is no run.
select rule_name, status, count(*) as runs from workflow_execution_logs
where tenant_id = :tenant_id and entity_id like :run and status <> 'SKIPPED'
group by rule_name, status;

-- name: list_held
-- Matches that a limit or the loop guard held back.
select rule_name, error_message as reason, count(*) as times from workflow_execution_logs
where tenant_id = :tenant_id and entity_id like :run and status = 'SKIPPED'
  and error_message in ('own-chain', 'chain-depth', 'rate', 'max-executions')
group by rule_name, error_message;

-- name: count_tasks$
select count(*) from work_item_relations where tenant_id = :tenant_id and entity_id like :run;

-- name: count_notifications$
select count(*) from notifications where tenant_id = :tenant_id and subject_id like :run;

-- name: count_unsent$
select count(*) from outbox_events;
