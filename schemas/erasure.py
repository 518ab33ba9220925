"""The erasure registry: for every text, jsonb or bytea column that we keep, what erasing a subject does to it.

`none`: holds no subject data (ids, codes, names of staff roles); `delete`: rows go by their subject column; `shred`:
encrypted under the subject's key; `expires`: transport, gone when its retention ends. Every column is named, so that
nobody adds one without deciding: a catalogue test refuses a column that is missing here, and a name here that no table
has. Topics declare theirs in `schemas.registry`.
"""

import re
from typing import Literal

Rule = Literal["none", "shred", "delete", "expires"]

_VERSION = re.compile(r"__v\d+$")

# Tables made from mappings, which no list can name: every mapped column is emptied with its row's subject.
CASE_TABLES = ("projections.case_plain_", "projections.case_work")
CASE_SYSTEM_COLUMNS = frozenset({"tenant_id", "case_id", "subject_id", "tombstone"})


def _columns(*, none: str = "", delete: str = "", expires: str = "", shred: str = "") -> dict[str, Rule]:
    rules: dict[Rule, str] = {"none": none, "delete": delete, "expires": expires, "shred": shred}
    return {column: rule for rule, names in rules.items() for column in names.split()}


def rule(table: str, column: str) -> Rule | None:
    """The declared rule of a column, or None when nobody declared it. `table` is schema-qualified."""
    if declared_as(table).startswith(CASE_TABLES):
        return "none" if column in CASE_SYSTEM_COLUMNS else "delete"
    return COLUMNS.get(declared_as(table), {}).get(column)


def declared_as(table: str) -> str:
    """Under which name a table is declared: the versions of a projection share one declaration."""
    return _VERSION.sub("", table) if table.startswith("projections.") else table


# Every column that could hold text: text, jsonb, bytea and arrays of them.
COLUMNS: dict[str, dict[str, Rule]] = {
    "public.schema_migrations": _columns(none="name checksum applied_by"),
    "public.tenants": _columns(none="tenant_id name zone"),
    "public.users": _columns(none="tenant_id user_id roles", delete="display_name"),
    "public.teams": _columns(none="tenant_id team_id name"),
    "public.team_members": _columns(none="tenant_id team_id user_id"),
    # Summary, cure and detail name objects by id; the text of a payload never enters them.
    "public.incidents": _columns(
        none="tenant_id kind fingerprint object_type object_id summary cure detail state resolved_by resolution"
    ),
    "public.audit_log": _columns(none="tenant_id actor action object_type object_id reason detail"),
    # Surrogate ids and an operator's words about the order: the ledger must outlive what it erases.
    "public.shredded_subjects": _columns(none="tenant_id subject_id requested_by reason purged"),
    "public.leases": _columns(none="name owner"),
    "public.analyst_tenants": _columns(none="tenant_id role_name"),
    "public.idempotency_keys": _columns(none="tenant_id principal route", expires="key fingerprint answer"),
    "public.relay_shards": _columns(none="owner"),
    "public.outbox_events": _columns(
        none="tenant_id aggregate topic event_type created_by traceparent",
        expires="aggregate_id key headers payload",
    ),
    "public.consumer_groups": _columns(none="group_name state reason"),
    "public.consumer_offsets": _columns(none="group_name topic owner"),
    "public.skipped_ranges": _columns(none="group_name topic moved_by"),
    "public.inbox": _columns(none="tenant_id group_name source event_id"),
    "public.applied_sequences": _columns(none="tenant_id group_name source topic aggregate"),
    "public.sequence_baselines": _columns(none="tenant_id group_name source topic aggregate reason"),
    "public.waiting_messages": _columns(none="group_name topic tenant_id source aggregate", expires="key value headers"),
    "public.parked_keys": _columns(none="group_name topic tenant_id", delete="key"),
    "public.parked_messages": _columns(
        none="group_name topic tenant_id reason fingerprint error ordered", delete="key value headers"
    ),
    "public.work_items": _columns(
        none="tenant_id status coupling request_type activity_area business_group process priority scope assignee_id"
        " follower_ids source created_by updated_by",
        delete="title description note",
    ),
    "public.work_item_state_history": _columns(
        none="tenant_id from_status to_status action by_user assignee_id source", delete="note"
    ),
    "public.work_item_comments": _columns(none="tenant_id by_user source", delete="body"),
    "public.work_item_relations": _columns(none="tenant_id entity_type entity_id"),
    # Of an entity only its values may be about a person; they go with its row.
    "public.entity_types": _columns(none="tenant_id entity_type stage_field status_field sensitive_fields updated_by"),
    "public.entity_state": _columns(none="tenant_id entity_type entity_id subject_id", delete="entity_values"),
    "public.entity_activities": _columns(none="tenant_id entity_type entity_id"),
    "public.entity_commands": _columns(none="tenant_id entity_type entity_id command_id outcome"),
    "public.published_events": _columns(none="tenant_id", expires="source event_id fingerprint"),
    "public.work_item_instances": _columns(none="tenant_id instance_id status"),
    # Surrogate ids and codes; what a case says is in the snapshot alone.
    "public.cases": _columns(none="tenant_id case_id class_name subject_id created_by updated_by"),
    "public.sys_case_data_store": _columns(none="tenant_id case_id class_name subject_id stored_by source", shred="snapshot"),
    "public.audit_unchained": _columns(none="tenant_id"),
    "public.audit_chain": _columns(none="tenant_id hash"),
    "public.audit_heads": _columns(none="tenant_id head key_id signature"),
    # Mappings and their tables belong to the installation: paths and column names, no values.
    "public.projection_tables": _columns(none="name kind topics"),
    "public.projection_versions": _columns(none="name spec fingerprint source trial_tenant state reason created_by"),
    "public.projection_lag": _columns(none="name member"),
    "public.ddl_orders": _columns(none="kind name statement sha256 state reason requested_by approved_by error"),
    # Orders and progress; reports and parked snapshots name rows by id, never by value.
    "public.rebuilds": _columns(none="name source trial_tenant state paused_from message ordered_by reason"),
    "public.rebuild_slices": _columns(none="owner"),
    "public.rebuild_offsets": _columns(none="topic"),
    "public.rebuild_parked": _columns(none="tenant_id case_id reason"),
    "public.projection_orders": _columns(none="kind name state verdict message report owner requested_by reason"),
    # Words of the installation about classes; a default is part of the mapping, never of a case.
    "public.mapping_definitions": _columns(none="class_name state body author reason published_by disabled_by disabled_reason"),
    "public.effect_order_keys": _columns(none="tenant_id order_key"),
    # A purger empties request and detail; the row stays, since it is what makes an effect happen once.
    "public.effects": _columns(
        none="tenant_id owner_kind owner_id occurrence kind endpoint order_key subject_id backoff state lease_owner code"
        " fingerprint",
        delete="request detail",
    ),
    "public.effect_channels": _columns(none="tenant_id endpoint"),
    # A subject's timers go as a whole.
    "public.timers": _columns(none="tenant_id timer_key kind subject_id state", delete="command"),
    # A tenant's own credentials, under a data key of the tenant; no person's.
    "public.tenant_secrets": _columns(none="tenant_id name created_by updated_by"),
    "public.tenant_secret_values": _columns(none="tenant_id name", shred="sealed"),
    # A template's words are written before anybody is written to.
    "public.message_templates": _columns(none="tenant_id template_id"),
    "public.message_template_versions": _columns(none="tenant_id template_id name subject text_body html_body author reason"),
    "public.notifications": _columns(none="tenant_id user_id priority subject_id", delete="title message action_url"),
    # What a rule says is the tenant's own words; what a run saw of an entity goes with its subject.
    "public.workflow_rules": _columns(
        none="tenant_id name description trigger_type entity_type trigger_field cron_expression schedule_timezone created_by"
        " updated_by"
    ),
    "public.workflow_rule_sets": _columns(none="tenant_id"),
    "public.workflow_rule_versions": _columns(none="tenant_id definition author reason"),
    "public.workflow_conditions": _columns(
        none="tenant_id field_name operator value value_type logical_operator old_value_comparison"
    ),
    "public.workflow_actions": _columns(none="tenant_id action_type configuration"),
    "public.workflow_execution_logs": _columns(
        none="tenant_id rule_name entity_type entity_id subject_id trigger_type occurrence status error_message"
        " error_stack_trace output_data causation",
        delete="input_data trace",
    ),
    "public.workflow_rule_guards": _columns(none="tenant_id entity_key"),
    "public.workflow_rule_deltas": _columns(none="tenant_id"),
    "public.assignment_circles": _columns(none="tenant_id name last_user"),
    # A flow's words are written before anybody follows it. What persons said in a journey is sealed.
    "public.flw_int_def": _columns(none="tenant_id flow title definition created_by"),
    "public.flw_case_def": _columns(none="tenant_id name data_schema created_by"),
    "public.onboarding_transition": _columns(
        none="flow_version from_state action to_state allowed_actors compensation_action handler flow tenant_id"
    ),
    "public.onboarding_instance": _columns(none="tenant_id instance_id flow user_id status current_state work_item_id folded"),
    "public.workflow_event": _columns(none="tenant_id instance_id event_type payload cause", shred="data"),
    "public.step_execution": _columns(none="tenant_id instance_id state action handler status code"),
    "public.state_snapshot": _columns(none="tenant_id instance_id state folded"),
    "public.flw_case": _columns(none="tenant_id case_id subject_id", shred="case_data"),
    "public.interactions": _columns(none="tenant_id process_instance_id user_id"),
    "public.onboarding_review_task": _columns(none="tenant_id work_item_id instance_id group_name"),
    "projections.work_item_board": _columns(
        none="tenant_id work_item_id status priority assignee_id request_type activity_area business_group process scope"
        " ce_source"
    ),
}

# The keys database, which erases by deleting: a destroyed key's row is gone, the ledger stays.
KEYS_COLUMNS: dict[str, dict[str, Rule]] = {
    "schema_migrations": _columns(none="name checksum applied_by"),
    "data_keys": _columns(none="tenant_id subject_id kek_id", delete="wrapped"),
    "shredded_subjects": _columns(none="tenant_id subject_id requested_by reason"),
}
