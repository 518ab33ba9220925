"""Rules as rows: the head, its versions, and the current version spread out for SQL. SQL in store.sql."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtime.sql import Connection, load_queries
from schemas.rules import Condition, RuleDefinition

queries = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a rule has done (RU-7): runs begun, ended without and with a failure."""

    executions: int = 0
    successes: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it is now."""

    tenant_id: str
    id: str
    version: int
    is_active: bool
    definition: RuleDefinition
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    statistics: Statistics


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A version, as it was written."""

    version: int
    is_active: bool
    definition: RuleDefinition
    author: str
    reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes the next version of a rule."""

    tenant_id: str
    id: str
    definition: RuleDefinition
    is_active: bool
    author: str
    reason: str | None
    removed: bool = False


async def begin_change(conn: Connection, tenant_id: str) -> tuple[int, int]:
    """Lock the tenant's rules; the number of this change, and how many rules there are."""
    row = await queries.next_generation(conn, tenant_id=tenant_id)
    return row["generation"], row["rules"]


async def insert_rule(conn: Connection, edit: Edit, generation: int) -> None:
    """A new rule in its first version."""
    await queries.insert_rule(conn, **_head(edit), generation=generation)
    await queries.count_rules(conn, tenant_id=edit.tenant_id, change=1)
    await _write_version(conn, edit, 1)


async def replace_rule(conn: Connection, edit: Edit, generation: int, expected: int) -> bool:
    """The next version of a rule that stands at `expected`; False where it does not."""
    version = await queries.update_rule(conn, **_head(edit), generation=generation, expected=expected, removed=edit.removed)
    if version is None:
        return False
    if edit.removed:
        await queries.count_rules(conn, tenant_id=edit.tenant_id, change=-1)
    await queries.delete_conditions(conn, tenant_id=edit.tenant_id, id=edit.id)
    await queries.delete_actions(conn, tenant_id=edit.tenant_id, id=edit.id)
    await _write_version(conn, edit, version)
    return True


async def find_rule(conn: Connection, tenant_id: str, rule_id: str) -> StoredRule | None:
    """The rule, unless it was removed."""
    row = await queries.find_rule(conn, tenant_id=tenant_id, id=rule_id)
    return None if row is None else _rule(tenant_id, row)


async def list_rules(
    conn: Connection, tenant_id: str, *, entity_type: str | None, is_active: bool | None, page: int, size: int
) -> tuple[list[StoredRule], int]:
    """A page, from 1 (RU-14), in the order in which rules run, and how many there are."""
    rows = await queries.list_rules(
        conn, tenant_id=tenant_id, entity_type=entity_type, is_active=is_active, size=size, skip=(page - 1) * size
    )
    return [_rule(tenant_id, row) for row in rows], rows[0]["total"] if rows else 0


async def list_versions(conn: Connection, tenant_id: str, rule_id: str) -> list[RuleVersion]:
    """Every version, the newest first; of a removed rule too."""
    return [_version(row) for row in await queries.list_versions(conn, tenant_id=tenant_id, id=rule_id)]


async def find_version(conn: Connection, tenant_id: str, rule_id: str, version: int) -> RuleVersion | None:
    row = await queries.find_version(conn, tenant_id=tenant_id, id=rule_id, version=version)
    return None if row is None else _version(row)


async def _write_version(conn: Connection, edit: Edit, version: int) -> None:
    definition = numbered(edit.definition)
    text = definition.model_dump_json(by_alias=True, exclude_none=True)
    named = {"tenant_id": edit.tenant_id, "id": edit.id}
    await queries.insert_version(
        conn, **named, version=version, definition=text, is_active=edit.is_active, author=edit.author, reason=edit.reason
    )
    await queries.insert_conditions(conn, **named, conditions=json.dumps(list(_condition_rows(definition.conditions))))
    await queries.insert_actions(conn, **named, actions=json.dumps(_action_rows(definition)))


def numbered(definition: RuleDefinition) -> RuleDefinition:
    """The same rule with every action's order written out."""
    actions = tuple(spec.model_copy(update={"action_order": at}) for at, spec in enumerate(definition.ordered_actions))
    return definition.model_copy(update={"actions": actions})


def _head(edit: Edit) -> dict[str, Any]:
    told = edit.definition
    return {
        "tenant_id": edit.tenant_id,
        "id": edit.id,
        "name": told.name,
        "description": told.description,
        "trigger_type": told.trigger_type,
        "entity_type": told.entity_type,
        "trigger_field": told.trigger_field,
        "is_active": edit.is_active,
        "priority": told.priority,
        "max_executions_per_entity": told.max_executions_per_entity,
        "cron_expression": told.cron_expression,
        "schedule_timezone": told.schedule_timezone,
        "author": edit.author,
    }


def _condition_rows(conditions: Sequence[Condition]) -> Iterator[dict[str, Any]]:
    """The tree as the documents' rows: a group is a row without field, its conditions point to it."""
    pending: list[tuple[int, Condition, int | None, int | None]] = [
        (order, condition, None, None) for order, condition in enumerate(conditions)
    ]
    for number, (order, condition, parent, place) in enumerate(pending, start=1):
        # The list grows while it is walked: groups follow their parents.
        pending += [(at, child, number, at) for at, child in enumerate(condition.group or ())]
        yield {
            "id": number,
            "condition_order": order if condition.condition_order is None else condition.condition_order,
            "field_name": condition.field_name,
            "operator": condition.operator,
            "value": None if condition.value is None else json.dumps(condition.value, ensure_ascii=False),
            "value_type": condition.value_type,
            "logical_operator": condition.logical_operator,
            "parent_condition_id": parent,
            "group_order": place,
            "check_old_value": bool(condition.check_old_value),
            "old_value_comparison": condition.old_value_comparison,
            "null_matches": condition.null_matches,
        }


def _action_rows(definition: RuleDefinition) -> list[dict[str, Any]]:
    return [
        {
            "action_order": order,
            "action_type": action.action_type,
            "configuration": json.dumps(action.configuration, ensure_ascii=False),
            "stop_on_failure": action.stop_on_failure,
            "retry_count": action.retry_count,
            "retry_delay_seconds": action.retry_delay_seconds,
            "is_async": action.is_async,
            "delay_seconds": action.delay_seconds,
        }
        for order, action in enumerate(definition.ordered_actions)
    ]


def _rule(tenant_id: str, row: Mapping[str, Any]) -> StoredRule:
    names = ("id", "version", "is_active", "created_at", "created_by", "updated_at", "updated_by")
    return StoredRule(
        tenant_id=tenant_id,
        **{name: row[name] for name in names},
        definition=RuleDefinition.model_validate_json(row["definition"]),
        statistics=Statistics(row["execution_count"], row["success_count"], row["failure_count"]),
    )


def _version(row: Mapping[str, Any]) -> RuleVersion:
    names = ("version", "is_active", "author", "reason", "created_at")
    return RuleVersion(**{name: row[name] for name in names}, definition=RuleDefinition.model_validate_json(row["definition"]))
