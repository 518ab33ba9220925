"""How a change event becomes the entity's newest state. Pure; docs/reference/entities.md prints these rules.

    event            with entityVersion                     without
    ---------------  -------------------------------------  ----------------------------------------------
    not newer        ignored                                cannot be told: the order of arrival is the order
    CREATE           newValues are the entity               unknown or removed: newValues are the entity;
                                                            known: only fields that are not known yet
    UPDATE           newValues are the entity;              unknown: old values, then new ones over them;
                     without them ignored                   removed: ignored, it came late; known: new ones over
                                                            the known, and a changed field without value goes
    DELETE           a tombstone                            a tombstone

So events with a version give the same state in whatever order they come, and a topic without versions that is read again
from its beginning ends where it ended before.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from domain.entities.entity import Entity, Values
from schemas.entities import EntityChangeEvent, subject_of


def fold(known: Entity | None, event: EntityChangeEvent) -> Entity | None:
    """The state after the event; None when the event changes nothing, because it came late or says nothing."""
    if not _is_news(known, event):
        return None
    values = _values(known, event)
    if values is None:
        return None
    removed = event.change_type == "DELETE"
    living = known if known is not None and not known.removed else None
    if known is None or (living is None and not removed):
        return _born(known, event, values)
    return replace(
        known,
        values=values,
        removed=removed,
        version=event.entity_version or known.version,
        subject_id=event.subject_id or known.subject_id,
        created_at=min(known.created_at, event.timestamp) if event.change_type == "CREATE" else known.created_at,
        changed_at=max(known.changed_at, event.timestamp),
    )


def _is_news(known: Entity | None, event: EntityChangeEvent) -> bool:
    if known is None or known.version is None or event.entity_version is None:
        return True
    return event.entity_version > known.version


def _values(known: Entity | None, event: EntityChangeEvent) -> Values | None:
    """The values after the event; None: it must not change anything."""
    match event.change_type:
        case "DELETE":
            return {}
        case "CREATE":
            return _created(known, event)
        case "UPDATE":
            return _updated(known, event)
        case _:
            assert_never(event.change_type)


def _created(known: Entity | None, event: EntityChangeEvent) -> Values:
    told = event.new_values or {}
    if event.entity_version is None and known is not None and not known.removed:
        return {**told, **known.values}
    return told


def _updated(known: Entity | None, event: EntityChangeEvent) -> Values | None:
    if event.entity_version is not None:
        return event.new_values
    if known is None:
        return {**(event.old_values or {}), **(event.new_values or {})}
    if known.removed:
        return None
    told = event.new_values or {}
    gone = _cleared(event.changed_fields, told) if event.new_values is not None else frozenset()
    return {name: value for name, value in {**known.values, **told}.items() if name not in gone}


def _cleared(changed: Iterable[str], told: Values) -> frozenset[str]:
    """Fields that were changed and have no value: the sender leaves out what is empty. A path names its object's field."""
    return frozenset(name for name in changed if name not in told and name.partition(".")[0] not in told)


def _born(known: Entity | None, event: EntityChangeEvent, values: Values) -> Entity:
    """A first sight, or a new life of what was removed; our own numbers go on over all lives."""
    named = known.subject_id if known is not None else subject_of(event.entity_type, event.entity_id)
    return Entity(
        tenant_id=event.tenant_id,
        entity_type=event.entity_type,
        entity_id=event.entity_id,
        values=values,
        removed=event.change_type == "DELETE",
        version=event.entity_version or (known.version if known else None),
        event_sequence=known.event_sequence if known else 0,
        subject_id=event.subject_id or named,
        created_at=event.timestamp,
        changed_at=event.timestamp,
    )
