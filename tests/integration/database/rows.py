"""One row of every table for each of two tenants, so that a matrix over all tables has something to reach for.

A table without an entry makes `seed` fail: whoever adds a table says here what a row of it looks like.
"""

import uuid
from typing import Any

import asyncpg

TENANTS = ("t1", "t2")
ITEM = uuid.UUID("01890000-0000-7000-8000-000000000001")

# In an order that satisfies foreign keys. $1 is the tenant, $2 a number that differs between tenants, where rows need one.
ROWS: dict[str, str] = {
    "public.tenants": "insert into tenants (tenant_id, name) values ($1, 'n')",
    "public.users": "insert into users (tenant_id, user_id, display_name) values ($1, 'u', 'n')",
    "public.teams": "insert into teams (tenant_id, team_id, name) values ($1, 'g', 'n')",
    "public.team_members": "insert into team_members values ($1, 'g', 'u')",
    "public.analyst_tenants": "insert into analyst_tenants (tenant_id, role_name) values ($1, 'analyst_of_' || $1)",
    "public.incidents": "insert into incidents (tenant_id, incident_id, kind, fingerprint, summary)"
    " values ($1, gen_random_uuid(), 'k', 'f', 's')",
    "public.audit_log": "insert into audit_log (tenant_id, audit_id, actor, action, object_type, object_id)"
    " values ($1, gen_random_uuid(), 'a', 'b', 'c', 'd')",
    "public.shredded_subjects": "insert into shredded_subjects (tenant_id, subject_id, shred_id, ordered_at, requested_by,"
    " reason) values ($1, 's', gen_random_uuid(), now(), 'b', 'r')",
    "public.idempotency_keys": "insert into idempotency_keys (tenant_id, principal, route, key, fingerprint, expires_at)"
    " values ($1, 'p', 'r', 'k', '', now())",
    "public.outbox_events": "insert into outbox_events (event_id, tenant_id, shard, aggregate, aggregate_id, topic,"
    " event_type, headers, occurred_at, created_by) values (gen_random_uuid(), $1, 0, 'a', 'i', 't', 'e', '', now(), 'b')",
    "public.inbox": "insert into inbox (tenant_id, group_name, source, event_id) values ($1, 'g', 's', 'e')",
    "public.applied_sequences": "insert into applied_sequences values ($1, 'g', 's', 't', 'a', 1)",
    "public.sequence_baselines": "insert into sequence_baselines values ($1, 'g', 's', 't', 'a', 1, 'operator')",
    "public.waiting_messages": 'insert into waiting_messages (group_name, topic, partition, "offset", tenant_id, source,'
    " aggregate, sequence, waiting_for, headers, timestamp) values ('g', 't', 0, $2, $1, 's', 'a', 2, 1, '', 0)",
    "public.parked_keys": "insert into parked_keys (group_name, topic, partition, key, tenant_id)"
    " values ('g', 't', 0, convert_to($1, 'UTF8'), $1)",
    "public.parked_messages": 'insert into parked_messages (group_name, topic, partition, "offset", tenant_id, headers,'
    " timestamp, reason, fingerprint, error) values ('g', 't', 0, $2, $1, '', 0, 'r', 'f', 'e')",
    "public.work_items": "insert into work_items (tenant_id, id, version, event_sequence, history_length, coupling, title,"
    f" priority, source, occurred_at, last_action_at, created_by, updated_by) values ($1, '{ITEM}', 1, 1, 1, 'strong', 't',"
    " 'low', 'KAFKA', now(), now(), 'u', 'u')",
    "public.work_item_state_history": "insert into work_item_state_history (tenant_id, work_item_id, position, to_status,"
    f" action, by_user, source, occurred_at) values ($1, '{ITEM}', 1, 'draft', 'Create', 'u', 'KAFKA', now())",
    "public.work_item_comments": "insert into work_item_comments (tenant_id, work_item_id, comment_id, body, by_user, source)"
    f" values ($1, '{ITEM}', gen_random_uuid(), 'b', 'u', 'KAFKA')",
    "public.work_item_instances": "insert into work_item_instances (tenant_id, work_item_id, instance_id, status, cycle)"
    f" values ($1, '{ITEM}', 'i', 'running', 0)",
    "public.cases": "insert into cases (tenant_id, case_id, class_name, subject_id, version, created_at, created_by,"
    " updated_at, updated_by) values ($1, 'c', 'Order', 's', 1, now(), 'u', now(), 'u')",
    "public.sys_case_data_store": "insert into sys_case_data_store (tenant_id, case_id, version, class_name, subject_id,"
    " snapshot, stored_at, stored_by, source) values ($1, 'c', 1, 'Order', 's', 'x', now(), 'u', 'KAFKA')",
    "public.work_item_relations": f"insert into work_item_relations values ($1, 'LEAD', '42', '{ITEM}')",
    "public.entity_types": "insert into entity_types (tenant_id, entity_type, stage_field, status_field, updated_by)"
    " values ($1, 'LEAD', 'stage', 'status', 'u')",
    "public.entity_state": "insert into entity_state (tenant_id, entity_type, entity_id, entity_values, subject_id, created_at,"
    " changed_at) values ($1, 'LEAD', '42', '{}', 'LEAD/42', now(), now())",
    "public.entity_activities": "insert into entity_activities values ($1, 'LEAD', '42', now())",
    "public.entity_commands": "insert into entity_commands values ($1, 'LEAD', '42', 'c', 'changed', now())",
    "public.published_events": "insert into published_events (tenant_id, source, event_id, fingerprint)"
    " values ($1, 's', 'e', sha256('x'))",
    # audit_unchained has a row for each row of audit_log, by its trigger.
    "public.audit_unchained": "insert into audit_unchained (tenant_id, audit_id) values ($1, gen_random_uuid())",
    "public.audit_chain": "insert into audit_chain (tenant_id, position, audit_id, hash) values ($1, 1, gen_random_uuid(),"
    " sha256('x'))",
    "public.audit_heads": "insert into audit_heads (tenant_id, number, length, head, signed_at, key_id, signature)"
    " values ($1, 1, 1, sha256('x'), now(), 'k', sha256('x') || sha256('y'))",
    "public.rebuild_parked": "insert into rebuild_parked (tenant_id, rebuild_id, seq, case_id, version, reason)"
    " values ($1, gen_random_uuid(), 1, 'c', 1, 'r')",
    "public.workflow_rule_sets": "insert into workflow_rule_sets values ($1, 1, 1)",
    "public.workflow_rules": "insert into workflow_rules (tenant_id, id, version, generation, name, trigger_type, entity_type,"
    f" is_active, created_by, updated_by) values ($1, '{ITEM}', 1, 1, 'n', 'ON_CREATE', 'LEAD', true, 'u', 'u')",
    "public.workflow_rule_versions": "insert into workflow_rule_versions (tenant_id, rule_id, version, definition, is_active,"
    f" author) values ($1, '{ITEM}', 1, '{{}}', true, 'u')",
    "public.workflow_conditions": f"insert into workflow_conditions (tenant_id, rule_id, id) values ($1, '{ITEM}', 1)",
    "public.workflow_actions": "insert into workflow_actions (tenant_id, rule_id, action_order, action_type, configuration)"
    f" values ($1, '{ITEM}', 0, 'DELAY', '{{}}')",
    "public.workflow_execution_logs": "insert into workflow_execution_logs (tenant_id, id, rule_id, rule_version, rule_name,"
    " entity_type, entity_id, subject_id, trigger_type, occurrence, status, started_at) values ($1, gen_random_uuid(),"
    f" '{ITEM}', 1, 'n', 'LEAD', '42', 'LEAD/42', 'ON_CREATE', 'o', 'RUNNING', now())",
    "public.workflow_rule_guards": "insert into workflow_rule_guards (tenant_id, rule_id, entity_key)"
    f" values ($1, '{ITEM}', 'k')",
    "public.workflow_rule_deltas": "insert into workflow_rule_deltas (tenant_id, rule_id, executions, successes, failures)"
    f" values ($1, '{ITEM}', 1, 0, 0)",
    "public.assignment_circles": "insert into assignment_circles (tenant_id, name) values ($1, 'n')",
    "public.effect_order_keys": "insert into effect_order_keys (tenant_id, order_key) values ($1, 'k')",
    "public.effects": "insert into effects (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind,"
    " endpoint, state, due_at) values ($1, gen_random_uuid(), 'run', 'r', 1, '', 'webhook', 'hooks.example', 'due', now())",
    "public.effect_channels": "insert into effect_channels (tenant_id, endpoint) values ($1, 'hooks.example')",
    "public.timers": "insert into timers (tenant_id, timer_key, kind, due_at) values ($1, 'k', 'cron', now())",
    "public.tenant_secrets": "insert into tenant_secrets (tenant_id, name, version, created_by, updated_by)"
    " values ($1, 's', 1, 'u', 'u')",
    "public.tenant_secret_values": "insert into tenant_secret_values (tenant_id, name, version, sealed)"
    " values ($1, 's', 1, 'x')",
    "public.message_templates": "insert into message_templates (tenant_id, template_id, version) values ($1, '1', 1)",
    "public.message_template_versions": "insert into message_template_versions (tenant_id, template_id, version, name,"
    " subject, text_body, author) values ($1, '1', 1, 'n', 's', 't', 'u')",
    "public.notifications": "insert into notifications (tenant_id, user_id, notification_id, title, message, priority)"
    " values ($1, 'u', gen_random_uuid(), 't', 'm', 'LOW')",
    "public.flw_int_def": "insert into flw_int_def (tenant_id, flow, version, definition, created_by)"
    " values ($1, 'f', 1, '{}', 'u')",
    "public.flw_case_def": "insert into flw_case_def (tenant_id, name, version, data_schema, created_by)"
    " values ($1, 'c', 1, '{}', 'u')",
    "public.onboarding_transition": "insert into onboarding_transition (tenant_id, flow, flow_version, from_state, action,"
    " to_state, allowed_actors) values ($1, 'f', 'v1', 'A', 'NEXT', 'B', '{USER}')",
    "public.onboarding_instance": "insert into onboarding_instance (tenant_id, instance_id, flow, flow_version, user_id,"
    " status, current_state, version, folded, started_at) values ($1, 'i', 'f', 1, 'u', 'ACTIVE', 'A', 1, '{}', now())",
    "public.workflow_event": "insert into workflow_event (tenant_id, instance_id, sequence_number, event_type, payload,"
    " created_at) values ($1, 'i', 1, 'WORKFLOW_STARTED', '{}', now())",
    "public.step_execution": "insert into step_execution (tenant_id, instance_id, step, attempt, state, action, handler,"
    " status, started_at) values ($1, 'i', 1, 1, 'A', 'NEXT', 'h', 'RUNNING', now())",
    "public.state_snapshot": "insert into state_snapshot (tenant_id, instance_id, sequence_number, state, folded)"
    " values ($1, 'i', 1, 'A', '{}')",
    "public.flw_case": "insert into flw_case (tenant_id, case_id, version, subject_id) values ($1, 'i', 1, 'u')",
    "public.interactions": "insert into interactions (tenant_id, interaction_id, process_instance_id, user_id)"
    " values ($1, gen_random_uuid(), 'i', 'u')",
    "public.onboarding_review_task": "insert into onboarding_review_task (tenant_id, work_item_id, instance_id, task,"
    " group_name) values ($1, 'w', 'i', 1, 'g')",
    "projections.work_item_board__v1": "insert into projections.work_item_board__v1 (tenant_id, work_item_id, status,"
    " status_since, last_change_at, version, ce_source, ce_sequence) values ($1, 'w', 'open', now(), now(), 1, 's', 1)",
}


async def seed(conn: asyncpg.Connection, tables: set[str]) -> None:
    """Insert a row of every table for every tenant, as the owner. `tables`: those that the catalogue knows."""
    assert tables == set(ROWS), "say in ROWS what a row of this table looks like, or remove a table that is gone"
    for statement in ROWS.values():
        for number, tenant in enumerate(TENANTS):
            arguments: list[Any] = [tenant, number][: 2 if "$2" in statement else 1]
            await conn.execute(statement, *arguments)
