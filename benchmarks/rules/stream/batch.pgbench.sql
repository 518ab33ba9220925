-- The rows of a thousand events that a rule matches, made by the server itself: no client, no network, no JSON.
\set n random(1, 1000000000)
begin;
insert into inbox (tenant_id, group_name, source, event_id)
select 'acme', 'workflow-engine', 'crm', 'e' || :n || '-' || g from generate_series(1, 1000) g;
insert into workflow_rule_guards (tenant_id, rule_id, entity_key, executions, window_started, window_runs)
select 'acme', '00000000-0000-7000-8000-000000000001', 'LEAD/lead-' || :n || '-' || g, 1, now(), 1
from generate_series(1, 1000) g;
insert into workflow_execution_logs
    (tenant_id, id, rule_id, rule_version, rule_name, entity_type, entity_id, subject_id, trigger_type, occurrence, status,
     started_at, input_data, output_data, trace, actions_total)
select 'acme', gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 1, 'hot', 'LEAD', 'lead-' || :n || '-' || g,
       'LEAD/lead-' || :n || '-' || g, 'ON_UPDATE', 'event|crm|e' || :n || '-' || g, 'RUNNING', now(), repeat('i', :input),
       repeat('o', :output), repeat('t', :trace), 1
from generate_series(1, 1000) g;
insert into effect_order_keys (tenant_id, order_key, last_position)
select 'acme', 'LEAD/lead-' || :n || '-' || g || '|hooks.example', 1 from generate_series(1, 1000) g;
insert into effects
    (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, request, order_key, position,
     subject_id, state, due_at)
select 'acme', gen_random_uuid(), 'rule-run', gen_random_uuid()::text, 0, '', 'webhook', 'hooks.example',
       convert_to(repeat('r', :request), 'UTF8'), 'LEAD/lead-' || :n || '-' || g || '|hooks.example', 1,
       'LEAD/lead-' || :n || '-' || g, 'due', now()
from generate_series(1, 1000) g;
commit;
