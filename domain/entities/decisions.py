"""What a command does to an entity of a managed type: pure, total, and the same for one command or a thousand.

    none, of another owner's type      left alone: its upstream reads the same topic
    unknown or removed entity          refused, except CreateActivity, which makes one
    nothing would change               no event: an entity that already is as asked is no change
    otherwise                          the values after, and the event that tells old and new ones (source WORKFLOW)

The event carries the whole entity and its version, so a reader may begin with any of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never

from domain.entities.activity import RELATED_TO
from domain.entities.entity import Entity, EntityKind, Values
from schemas.caller import Caller
from schemas.entities import (
    AddTag,
    AssignTo,
    ChangeStage,
    ChangeStatus,
    CreateActivity,
    EntityChangeEvent,
    RemoveTag,
    UpdateField,
    subject_of,
)
from schemas.errors import Rejected
from schemas.instants import format_time

Command = UpdateField | ChangeStage | ChangeStatus | AddTag | RemoveTag | AssignTo | CreateActivity

MAY_COMMAND = frozenset({"engine", "rule-runner"})
TAGS = "tags"
NEW_STATUS = "OPEN"


@dataclass(frozen=True, slots=True)
class Changed:
    """The entity before (None: it is new) and after, and which fields changed."""

    before: Entity | None
    after: Entity
    changed_fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The entity is as the command asks."""

    entity: Entity


Outcome = Changed | Unchanged | Rejected


def decide(
    entity: Entity | None, command: Command, kind: EntityKind, caller: Caller, now: datetime, *, erased: bool = False
) -> Outcome:
    """`erased`: the entity's subject was shredded. `now` is the time of the change."""
    if MAY_COMMAND.isdisjoint(caller.roles):
        return Rejected("PermissionDenied", "this sender may not command entities: register it with the role engine")
    if erased:
        return Rejected("SubjectErased", "the entity's subject was erased: nothing is written of it any more")
    if isinstance(command, CreateActivity):
        return _create(entity, command, kind, caller, now)
    if entity is None or entity.removed:
        return Rejected("EntityNotFound", f"{command.TYPE}: there is no such entity; create it first")
    changes = _changes(entity.values, command, kind)
    if isinstance(changes, Rejected):
        return changes
    if not changes:
        return Unchanged(entity)
    values = {**entity.values, **changes.values}
    after = replace(
        entity,
        values=values,
        version=(entity.version or 0) + 1,
        event_sequence=entity.event_sequence + 1,
        changed_at=max(now, entity.changed_at),
    )
    return Changed(entity, after, (changes.named,))


@dataclass(frozen=True, slots=True)
class _Change:
    """New values of top-level fields, and the path that the command named."""

    values: Values
    named: str


def _changes(values: Values, command: Command, kind: EntityKind) -> _Change | Rejected | None:
    match command:
        case UpdateField():
            return _set(values, command.field, command.value)
        case ChangeStage():
            return _set(values, kind.stage_field, command.stage)
        case ChangeStatus():
            return _set(values, kind.status_field, command.status)
        case AssignTo():
            return _set(values, command.field, command.assignee_id)
        case AddTag():
            return _tagged(values, lambda tags: tags if command.tag in tags else [*tags, command.tag])
        case RemoveTag():
            return _tagged(values, lambda tags: [tag for tag in tags if tag != command.tag])
        case CreateActivity():
            raise AssertionError("a creation has no values before it")
        case _:
            assert_never(command)


def _set(values: Values, path: str, value: Any) -> _Change | Rejected | None:
    """A field of that very name comes before a path into objects."""
    name, *inner = [path] if path in values else path.split(".")
    if not all((name, *inner)):
        return Rejected("InvalidField", "the field is no path: expected names with dots between them")
    whole = _placed(values.get(name), inner, value)
    if isinstance(whole, Rejected) or (name in values and same(values[name], whole)):
        return whole if isinstance(whole, Rejected) else None
    return _Change({name: whole}, path)


def _placed(known: Any, inner: list[str], value: Any) -> Any:
    if not inner:
        return value
    if known is not None and not isinstance(known, Mapping):
        return Rejected("InvalidField", "the path leads through a field that is no object")
    placed = _placed((known or {}).get(inner[0]), inner[1:], value)
    return placed if isinstance(placed, Rejected) else {**(known or {}), inner[0]: placed}


def _tagged(values: Values, change: Any) -> _Change | Rejected | None:
    tags = values.get(TAGS)
    if tags is not None and not isinstance(tags, list):
        return Rejected("InvalidField", f"the entity's field {TAGS} is no list")
    after = change(tags or [])
    return None if after == (tags or []) else _Change({TAGS: after}, TAGS)


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1, though Python says so."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _create(
    entity: Entity | None, command: CreateActivity, kind: EntityKind, caller: Caller, now: datetime
) -> Changed | Rejected:
    if entity is not None:
        return Rejected("EntityExists", "CreateActivity: there is, or was, an entity of this id; choose another")
    values = _without_none(
        {
            "subject": command.subject,
            "description": command.description,
            "activityType": command.activity_type,
            "priority": command.priority,
            "dueDate": None if command.due_date is None else format_time(command.due_date),
            "assignedTo": command.assigned_to,
            kind.status_field: NEW_STATUS,
            RELATED_TO: None if command.related_to is None else command.related_to.model_dump(by_alias=True),
        }.items()
    )
    after = Entity(
        tenant_id=caller.tenant_id,
        entity_type=command.entity_type,
        entity_id=command.entity_id,
        values=values,
        removed=False,
        version=1,
        event_sequence=1,
        subject_id=subject_of(command.entity_type, command.entity_id),
        created_at=now,
        changed_at=now,
    )
    return Changed(None, after, ())


def _without_none(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if value is not None}


def event_of(changed: Changed, caller: Caller, event_id: str) -> EntityChangeEvent:
    """The change as the world reads it, the whole entity before and after."""
    before, after = changed.before, changed.after
    return EntityChangeEvent(
        event_id=event_id,
        entity_type=after.entity_type,
        entity_id=after.entity_id,
        change_type="CREATE" if before is None else "UPDATE",
        old_values=None if before is None else dict(before.values),
        new_values=dict(after.values),
        changed_fields=changed.changed_fields,
        changed_by=caller.user_id,
        tenant_id=after.tenant_id,
        timestamp=after.changed_at,
        source="WORKFLOW",
        entity_version=after.version,
        subject_id=None if after.subject_id == subject_of(after.entity_type, after.entity_id) else after.subject_id,
    )
