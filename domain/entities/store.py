"""The store of entities: locks them in one order, writes states, activities and decided commands. Never decides.

Single is a batch of one. Values are JSON in bytes, because they may hold what no text of PostgreSQL takes.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.entities.entity import Entity, EntityKey, Values
from runtime.sql import Connection, load_queries
from schemas.errors import ConcurrencyConflict

queries = load_queries(__file__)

# The CHECK of entity_state: what many events together make of an entity may be larger than each of them.
MAX_VALUES_BYTES = 4 * 1024 * 1024
# (tenant, entity type, entity id, command id)
CommandKey = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An entity, locked, and which writing of its row this is."""

    entity: Entity
    revision: int


@dataclass(frozen=True, slots=True)
class Written:
    """Where an entity ends up, from the loaded row (None: there was none)."""

    loaded: Loaded | None
    entity: Entity


def pack_values(values: Values) -> bytes:
    """The stored form."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def unpack_values(packed: bytes) -> dict[str, Any]:
    """The inverse of `pack_values`."""
    values: dict[str, Any] = json.loads(packed)
    return values


async def find_subjects(conn: Connection, wanted: Iterable[EntityKey]) -> dict[EntityKey, str]:
    """The subjects of those wanted entities that exist, without a lock."""
    rows = await queries.find_subjects(conn, **_columns(sorted(set(wanted))))
    return {_key(row): row["subject_id"] for row in rows}


async def find_entities(conn: Connection, wanted: Iterable[EntityKey]) -> dict[EntityKey, Entity]:
    """The wanted entities that exist, tombstones too, as they are."""
    keys = sorted(set(wanted))
    rows = await queries.find_entities(conn, **_columns(keys)) if keys else []
    return {_key(row): entity_of(row) for row in rows}


async def lock_entities(conn: Connection, wanted: Iterable[EntityKey]) -> dict[EntityKey, Loaded]:
    """The wanted entities that exist, tombstones too, locked until the transaction ends."""
    keys = sorted(set(wanted))
    rows = await queries.lock_entities(conn, **_columns(keys)) if keys else []
    return {_key(row): Loaded(entity_of(row), row["revision"]) for row in rows}


async def write_entities(conn: Connection, written: Sequence[Written]) -> None:
    """Raises ConcurrencyConflict when an entity was made or changed by somebody else since it was loaded."""
    new = [one for one in written if one.loaded is None]
    if new and await queries.insert_entities(conn, **_rows(new)) != len(new):
        raise ConcurrencyConflict("no such entity yet", "one that somebody else just made")
    moved = [(one, one.loaded.revision) for one in written if one.loaded is not None]
    revisions = [revision for _, revision in moved]
    if moved and await queries.update_entities(conn, **_rows([one for one, _ in moved]), loaded=revisions) != len(moved):
        raise ConcurrencyConflict(revisions, "a newer one")


async def note_activities(conn: Connection, noted: Iterable[tuple[EntityKey, datetime]]) -> None:
    """Something was done about these entities; of each the newest counts."""
    newest: dict[EntityKey, datetime] = {}
    for key, at in noted:
        newest[key] = max(at, newest.get(key, at))
    if newest:
        await queries.note_activities(conn, **_columns(list(newest)), ats=list(newest.values()))


async def find_commands(conn: Connection, wanted: Collection[CommandKey]) -> set[CommandKey]:
    """Those of the wanted commands that were decided before."""
    if not wanted:
        return set()
    rows = await queries.find_commands(conn, **_command_columns(list(wanted)))
    return {(*_key(row), row["command_id"]) for row in rows}


async def record_commands(conn: Connection, decided: Mapping[CommandKey, str], now: datetime) -> None:
    """Remember for ever that these commands were decided, and how. Raises ConcurrencyConflict: one was, meanwhile."""
    if not decided:
        return
    outcomes, times = list(decided.values()), [now] * len(decided)
    written = await queries.insert_commands(conn, **_command_columns(list(decided)), outcomes=outcomes, decided_at=times)
    if written != len(decided):
        raise ConcurrencyConflict("a command that nobody has decided", "one that somebody else just did")


async def known_tenants(conn: Connection, wanted: Iterable[str]) -> frozenset[str]:
    """Those of these tenants that the directory knows."""
    return frozenset(await queries.find_tenants(conn, tenant_ids=sorted(set(wanted))))


def entity_of(row: Mapping[str, Any]) -> Entity:
    return Entity(
        tenant_id=row["tenant_id"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        values=unpack_values(row["entity_values"]),
        removed=row["removed"],
        version=row["version"],
        event_sequence=row["event_sequence"],
        subject_id=row["subject_id"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )


def _rows(written: Sequence[Written]) -> dict[str, list[Any]]:
    entities = [one.entity for one in written]
    return {
        **_columns([one.key for one in entities]),
        "entity_values": [pack_values(one.values) for one in entities],
        "removed": [one.removed for one in entities],
        "versions": [one.version for one in entities],
        "event_sequences": [one.event_sequence for one in entities],
        "subject_ids": [one.subject_id for one in entities],
        "created_at": [one.created_at for one in entities],
        "changed_at": [one.changed_at for one in entities],
    }


def _key(row: Mapping[str, Any]) -> EntityKey:
    return (row["tenant_id"], row["entity_type"], row["entity_id"])


def _columns(keys: Sequence[EntityKey]) -> dict[str, list[Any]]:
    return {
        "tenant_ids": [key[0] for key in keys],
        "entity_types": [key[1] for key in keys],
        "entity_ids": [key[2] for key in keys],
    }


def _command_columns(keys: Sequence[CommandKey]) -> dict[str, list[Any]]:
    return {**_columns([key[:3] for key in keys]), "command_ids": [key[3] for key in keys]}
