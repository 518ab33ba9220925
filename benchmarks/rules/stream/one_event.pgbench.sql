-- The rows of one event that a rule matches, in a single statement: what PostgreSQL itself can do for one event at a time.
\set n random(1, 1000000000)
\set lead random(1, 100000000)
with seen as (
    insert into inbox (tenant_id, group_name, source, event_id)
    values ('acme', 'workflow-engine', 'crm', 'e' || :n) on conflict do nothing
), guarded as (
    insert into workflow_rule_guards (tenant_id, rule_id, entity_key, executions, window_started, window_runs)
    values ('acme', '00000000-0000-7000-8000-000000000001', 'LEAD/lead-' || :lead, 1, now(), 1)
    on conflict (tenant_id, rule_id, entity_key) do update set executions = workflow_rule_guards.executions + 1
), logged as (
    insert into workflow_execution_logs
        (tenant_id, id, rule_id, rule_version, rule_name, entity_type, entity_id, subject_id, trigger_type, occurrence, status,
         started_at, input_data, output_data, trace, actions_total)
    values ('acme', gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 1, 'hot', 'LEAD', 'lead-' || :lead,
            'LEAD/lead-' || :lead, 'ON_UPDATE', 'event|crm|e' || :n, 'RUNNING', now(), repeat('i', :input),
            repeat('o', :output), repeat('t', :trace), 1)
    returning id
), lined as (
    insert into effect_order_keys (tenant_id, order_key, last_position)
    values ('acme', 'LEAD/lead-' || :lead || '|hooks.example', 1)
    on conflict (tenant_id, order_key) do update set last_position = effect_order_keys.last_position + 1
)
insert into effects
    (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, request, order_key, position,
     subject_id, state, due_at)
select 'acme', gen_random_uuid(), 'rule-run', id::text, 0, '', 'webhook', 'hooks.example',
       convert_to(repeat('r', :request), 'UTF8'), 'LEAD/lead-' || :lead || '|hooks.example', :n, 'LEAD/lead-' || :lead, 'due', now()
from logged;
