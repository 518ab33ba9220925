"""The consumer of one case table version: `CaseSnapshotStored` to rows (CD-5).

Each event carries the whole case, so the latest wins and the table's own rows are its memory of numbers. What cannot be
opened or read is parked with its case; a column that got no value is an incident beside a row that is written all the same.
"""

import binascii
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from domain.cases.mapping.tables import TableSpec
from domain.incidents import Incident, open_incidents
from processors.shell import Aggregate, Decided, Message, Position
from projections.cases.opening import Held, Keys, Opener, Snapshot
from projections.cases.project import Problem
from projections.cases.writing import CaseRow, Key, Writer, writer_of
from projections.versions import CASE_TOPICS
from runtime.sql import Connection
from schemas.cases import CaseSnapshotStored
from schemas.errors import UndecodableMessage
from schemas.models import Payload
from schemas.registry import projection_group

_AGGREGATE = "case"


@dataclass(frozen=True, slots=True)
class CaseState:
    """What the batch knows of a case: its own snapshots with keys and ledger of all of its subjects, and the row so far."""

    snapshots: Mapping[Position, Snapshot]
    held: Held
    row: CaseRow | None = None


@dataclass(frozen=True, slots=True)
class Unfilled:
    """Columns of one snapshot that got no value, and the tenant to tell."""

    tenant_id: str
    case_id: str
    problems: tuple[Problem, ...]


class CaseProjector:
    """A processor of the shell. `trial_tenant`: a version on trial takes only this tenant's cases."""

    interests: Mapping[str, type[Payload]] = {CaseSnapshotStored.TYPE: CaseSnapshotStored}
    latest_wins = True

    def __init__(
        self, spec: TableSpec, version: int, keys: Keys, *, hash_key: bytes | None = None, trial_tenant: str | None = None
    ) -> None:
        self.group = projection_group(spec.name, version, CASE_TOPICS)
        self._label, self._trial_tenant = f"{spec.name}.v{version}", trial_tenant
        self._opener, self._writer = Opener(spec, keys, hash_key), writer_of(spec, version)
        self.sequences = RowVersions(self._writer)
        self._prepared: dict[Position, Snapshot] = {}

    def key(self, message: Message) -> Hashable:
        return message.event.tenant, _stored(message).case_id

    async def prepare(self, conn: Connection, messages: Sequence[Message]) -> None:
        """A key service may be slow: the ring asks it now."""
        self._prepared = {message.record.position: snapshot_of(message) for message in messages if self._is_ours(message)}
        await self._opener.warm(self._prepared.values())

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, CaseState]:
        """Subjects first, then keys. Rows are locked by the guarded write itself, in the order of their keys."""
        ours = [message for message in messages if self._is_ours(message)]
        # Decoded once. What was let go from the waiting rows was not in the batch that was prepared.
        prepared, self._prepared = self._prepared, {}
        places = [message.record.position for message in ours]
        snapshots = {place: prepared.get(place) or snapshot_of(message) for place, message in zip(places, ours, strict=True)}
        state = CaseState(snapshots, await self._opener.hold(conn, snapshots.values()))
        return {self.key(message): state for message in ours}

    def decide(self, state: CaseState | None, message: Message, now: datetime) -> Decided[CaseState | None, Unfilled]:
        if state is None:
            return Decided(None)  # another table's class, or not the tenant on trial: it only counts as seen
        snapshot = state.snapshots[message.record.position]
        if message.event.sequence != snapshot.version:
            raise UndecodableMessage("the event's number is not the version of its snapshot")
        row, problems = self._opener.row(snapshot, state.held)
        unfilled = Unfilled(row.tenant_id, row.case_id, tuple(problems)) if problems else None
        return Decided(CaseState(state.snapshots, state.held, row), unfilled)

    async def save(
        self, conn: Connection, states: Mapping[Any, CaseState | None], outputs: Sequence[Unfilled], now: datetime
    ) -> None:
        await self._writer.write(conn, [state.row for state in states.values() if state is not None and state.row is not None])
        await open_incidents(conn, [incident for unfilled in outputs for incident in incidents_of(self._label, unfilled)])

    def _is_ours(self, message: Message) -> bool:
        return _stored(message).class_name in self._opener.classes and self._trial_tenant in (None, message.event.tenant)


class RowVersions:
    """A `SequenceStore`: the table's rows hold the number of the last applied event of their case."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def last_applied(self, conn: Connection, group: str, aggregates: Sequence[Aggregate]) -> dict[Aggregate, int]:
        keys = {aggregate: key for aggregate in aggregates if (key := _key_of(aggregate)) is not None}
        known = await self._writer.versions(conn, sorted(set(keys.values())))
        return {aggregate: known[key] for aggregate, key in keys.items() if key in known}

    async def record(self, conn: Connection, group: str, applied: Mapping[Aggregate, int]) -> None:
        return None  # the rows were written with their numbers


def snapshot_of(message: Message) -> Snapshot:
    """The event's snapshot; what is no base64 is no snapshot of ours, with the one text for it."""
    stored = _stored(message)
    try:
        sealed = None if stored.removed else binascii.a2b_base64(stored.snapshot or "", strict_mode=True)
    except ValueError:
        sealed = b""
    return Snapshot(message.event.tenant, stored.case_id, stored.class_name, stored.version, stored.subject_id, sealed)


def incidents_of(label: str, unfilled: Unfilled) -> list[Incident]:
    """One incident per version, column and reason, counted; the cases are named by id, their values never."""
    return [
        Incident(
            tenant_id=unfilled.tenant_id,
            kind="column-not-filled",
            fingerprint=f"{problem.column}: {problem.reason}"[:200],
            object_type="table-version",
            object_id=label,
            summary=f"{label}: column {problem.column} got no value: {problem.reason}",
            cure="casestream mapping check-path shows why; mend path, type or policy, then casestream projection rebuild",
            detail={"column": problem.column, "reason": problem.reason, "lastCase": unfilled.case_id},
        )
        for problem in unfilled.problems
    ]


def _stored(message: Message) -> CaseSnapshotStored:
    return cast(CaseSnapshotStored, message.payload)


def _key_of(aggregate: Aggregate) -> Key | None:
    """Tenant and case of `tenant|case|id`, or None for another aggregate."""
    tenant, _, rest = aggregate.aggregate.partition("|")
    name, _, case_id = rest.partition("|")
    return (tenant, case_id) if name == _AGGREGATE and tenant == aggregate.tenant_id and case_id else None
