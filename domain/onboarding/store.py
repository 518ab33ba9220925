"""The store of instances: loads under a lock in one order, writes decided histories with the folded rows, batch first.

Never begins or commits, never decides. The only writer of onboarding's tables.
"""

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from domain.onboarding.attempt_rows import attempt_rows
from domain.onboarding.flow import FlowKey
from domain.onboarding.folded import as_json, from_json
from domain.onboarding.history import Recorded, cause_document, without_words
from domain.onboarding.instance import Instance
from runtime.keys.ring import Subject
from runtime.sql import Connection, load_queries
from schemas.errors import ConcurrencyConflict
from schemas.onboarding import InstanceStatusChanged

queries = load_queries(Path(__file__).with_name("store.sql"))

# Tenant and instance.
Key = tuple[str, str]
# A long history is folded from the last of these on.
SNAPSHOT_EVERY = 100


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of the person by now, sealed for (case, version); version 0: nothing yet."""

    version: int = 0
    sealed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Named:
    """Whose an instance is, and what it follows."""

    subject: Subject
    flow: FlowKey


@dataclass(frozen=True, slots=True)
class Held:
    """A locked instance."""

    instance: Instance
    case: Case


@dataclass(frozen=True, slots=True)
class Written:
    """What one transaction does to one instance. `sealed`: by number of the event, what was said there."""

    loaded: Instance | None
    instance: Instance
    history: Sequence[Recorded]
    sealed: Mapping[int, bytes] = field(default_factory=dict)
    case: Case | None = None

    @property
    def key(self) -> Key:
        return (self.instance.tenant_id, self.instance.id)


def keys_of(wanted: Iterable[Key]) -> dict[str, list[str]]:
    """The two arrays that name instances."""
    rows = list(wanted)
    return {"tenant_ids": [tenant for tenant, _ in rows], "ids": [id_ for _, id_ in rows]}


async def find_named(conn: Connection, wanted: Collection[Key]) -> dict[Key, Named]:
    """Whose instances these are and which flows they follow, without a lock."""
    if not wanted:
        return {}
    rows = await queries.find_named(conn, **keys_of(sorted(wanted)))
    return {
        (row["tenant_id"], row["instance_id"]): Named(
            (row["tenant_id"], row["user_id"]), FlowKey(row["flow"], row["flow_version"])
        )
        for row in rows
    }


async def find_active_tenants(conn: Connection, tenants: Collection[str]) -> set[str]:
    """Those of these tenants that may start something."""
    if not tenants:
        return set()
    return {row["tenant_id"] for row in await queries.find_active_tenants(conn, tenant_ids=sorted(tenants))}


async def lock_instances(conn: Connection, wanted: Collection[Key]) -> dict[Key, Held]:
    """Those of the wanted instances that exist, locked until the transaction ends."""
    if not wanted:
        return {}
    rows = await queries.lock_instances(conn, **keys_of(sorted(wanted)))
    return {
        (row["tenant_id"], row["instance_id"]): Held(
            from_json(row["folded"].encode()), Case(row["case_version"] or 0, row["case_data"])
        )
        for row in rows
    }


async def write(conn: Connection, written: Sequence[Written]) -> None:
    """Insert what is new, move what was loaded, append the histories.

    Raises ConcurrencyConflict when an id was taken or a version moved since the load; the caller rolls back.
    """
    if not written:
        return
    new = [one for one in written if one.loaded is None]
    if new and await queries.insert_instances(conn, instances=as_rows([_row(one) for one in new])) != len(new):
        raise ConcurrencyConflict("no such instance yet", "one that somebody else just started")
    moved = [one for one in written if one.loaded is not None]
    if await queries.write_histories(conn, **history_rows(written)) != len(moved):
        raise ConcurrencyConflict([one.loaded.version for one in moved if one.loaded], "a newer one")
    if any(one.case is not None for one in written):
        await queries.write_cases(conn, cases=case_rows(written))
    await _write_snapshots(conn, [one for one in written if passes_mark(one.loaded, one.instance)])


async def begin_case(conn: Connection, tenant_id: str, instance_id: str, subject_id: str) -> None:
    """The case of an instance about which nothing was said yet, for readers that want one from the beginning."""
    row = {"tenant_id": tenant_id, "instance_id": instance_id, "version": 1, "subject_id": subject_id, "data": None}
    await queries.write_cases(conn, cases=as_rows([row]))


def history_rows(written: Sequence[Written]) -> dict[str, str]:
    """Moved instances, events, attempts that began and that ended, as JSON."""
    attempts = [attempt_rows(*one.key, one.history) for one in written]
    return {
        "instances": as_rows([_row(one) for one in written if one.loaded is not None]),
        "events": as_rows([_event_row(one, row) for one in written for row in one.history]),
        "begun": as_rows([row for begun, _ in attempts for row in begun]),
        "ended": as_rows([row for _, ended in attempts for row in ended]),
    }


def case_rows(written: Sequence[Written]) -> str:
    """Sealed cases, as JSON."""
    return as_rows([_case_row(one, one.case) for one in written if one.case is not None])


async def _write_snapshots(conn: Connection, written: Sequence[Written]) -> None:
    if written:
        await queries.write_snapshots(
            conn,
            **keys_of(one.key for one in written),
            numbers=[one.instance.version for one in written],
            states=[one.instance.state for one in written],
            folded=[as_json(one.instance).decode() for one in written],
        )


def passes_mark(before: Instance | None, after: Instance) -> bool:
    """Whether a snapshot is due."""
    return (before.version if before else 0) // SNAPSHOT_EVERY < after.version // SNAPSHOT_EVERY


def _row(one: Written) -> dict[str, Any]:
    instance = one.instance
    return {
        "tenant_id": instance.tenant_id,
        "instance_id": instance.id,
        "loaded": one.loaded.version if one.loaded else None,
        "flow": instance.flow,
        "flow_version": instance.flow_version,
        "user_id": instance.user_id,
        "status": instance.status,
        "current_state": instance.state,
        "version": instance.version,
        "work_item_id": instance.work_item_id,
        "cycle": instance.cycle,
        "folded": as_json(instance).decode(),
        "started_at": instance.started_at,
        "entered_at": instance.entered_at,
        "expires_at": instance.expires_at,
        "ended_at": instance.ended_at,
    }


def _event_row(one: Written, row: Recorded) -> dict[str, Any]:
    event, sealed = without_words(row.event), one.sealed.get(row.number)
    at = event.changed_at if isinstance(event, InstanceStatusChanged) else event.at
    return {
        "tenant_id": one.instance.tenant_id,
        "instance_id": one.instance.id,
        "sequence_number": row.number,
        "event_type": event.TYPE,
        "payload": event.model_dump_json(by_alias=True, exclude_defaults=True),
        "data": base64.b64encode(sealed).decode() if sealed else None,
        "cause": json.dumps(cause_document(row.cause), ensure_ascii=False) if row.cause else None,
        "created_at": at,
    }


def _case_row(one: Written, case: Case) -> dict[str, Any]:
    return {
        "tenant_id": one.instance.tenant_id,
        "instance_id": one.instance.id,
        "version": case.version,
        "subject_id": one.instance.user_id,
        "data": base64.b64encode(case.sealed).decode() if case.sealed else None,
    }


def as_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as `jsonb_to_recordset` reads them."""
    return orjson.dumps(rows).decode()
