"""Every processor, as the conformance suite sees it: another group is one more entry in `SUBJECTS`.

Table versions are not listed: each line of the registry is a subject, and a table is one entry in `TABLES`.

An entry gives valid messages per key, in order, and reads back what became of them: how many took effect, and which one
last. Both are counted by effects that a second application would change.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import asyncpg

from domain.entities.store import unpack_values
from domain.outbox import Outbox
from processors.entities import Entities
from processors.shell import Processor
from processors.work_items import WorkItems
from projections.versions import create_missing_versions
from projections.work_item_board import WorkItemBoard
from schemas.entities import EntityChangeEvent
from schemas.envelope import CloudEvent
from schemas.models import Payload
from schemas.registry import PROJECTION_VERSIONS, projection_group
from schemas.work_items import ApplyAction, CreateWorkItem, WorkItemAssigned, WorkItemCreated
from tests.e2e.shell import case_commands, case_snapshots, onboarding_commands, rule_runs
from tests.e2e.shell.harness import at, event, execute, rows
from tests.infrastructure.databases import ClonedDatabase

TENANT = "acme"
# Every key that the suites speak of.
_WORDS = (
    *("after", "alone", "also", "bad", "before", "first", "frozen", "good", "heir", "hot", "i", "k", "late", "marker", "one"),
    *("other", "p", "stormy", "two", "x"),
)
KEYS = (
    *_WORDS,
    *(f"{word}{number}" for word in _WORDS for number in range(40)),
    *(f"r{turn}-{key}" for turn in range(1, 61) for key in ("bad", *(f"k{number}" for number in range(10)))),
)
# Applied, and the position of the last applied one.
Applied = tuple[int, int]


@dataclass(frozen=True)
class Subject:
    """One group under test. `history(key, n)` gives the key's first n messages, the same ones each time."""

    group: str
    topic: str
    numbered: bool
    make: Callable[[], Processor[Any, Any]]
    history: Callable[[str, int], list[CloudEvent]]
    read: Callable[[ClonedDatabase], Awaitable[dict[str, Applied]]]
    prepare: Callable[[ClonedDatabase], Awaitable[None]]
    # Each message carries the whole state: what was applied in between cannot be seen, only what was applied last.
    latest_wins: bool = False

    def expected(self, applied: dict[str, Applied]) -> dict[str, Applied]:
        """What `read` finds when exactly this was applied."""
        return {key: (last, last) for key, (_, last) in applied.items()} if self.latest_wins else applied

    def __str__(self) -> str:
        return self.group


def stable_id(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, parts))))


def item_id(key: str) -> str:
    return stable_id("item", key)


def _board_history(key: str, length: int) -> list[CloudEvent]:
    """Created, then assigned to u2, u3, ...: `assignment_count` counts, the assignee tells the last."""
    known: dict[str, Any] = {"work_item_id": item_id(key), "changed_by": "u1", "source": "CRM_UI"}
    payloads: list[Payload] = [WorkItemCreated(version=1, changed_at=at(1), priority="high", **known)]
    payloads += [
        WorkItemAssigned(version=number, changed_at=at(number), new_assignee_id=f"u{number}", **known)
        for number in range(2, length + 1)
    ]
    return [event(payload, TENANT, number, id=stable_id(key, number)) for number, payload in enumerate(payloads[:length], 1)]


async def _board_read(database: ClonedDatabase, version: int) -> dict[str, Applied]:
    found = await rows(
        database, f"select work_item_id, assignment_count, assignee_id, drafted_at from projections.work_item_board__v{version}"
    )
    return {
        row["work_item_id"]: (row["assignment_count"] + (row["drafted_at"] is not None), int((row["assignee_id"] or "u1")[1:]))
        for row in found
    }


@dataclass(frozen=True)
class Table:
    """What the suite must know of a projected table, whichever its version."""

    make: Callable[[int], Processor[Any, Any]]
    history: Callable[[str, int], list[CloudEvent]]
    read: Callable[[ClonedDatabase, int], Awaitable[dict[str, Applied]]]


TABLES: dict[str, Table] = {"work_item_board": Table(WorkItemBoard, _board_history, _board_read)}


def table_version(name: str, version: int, topics: tuple[str, ...]) -> Subject:
    """A line of the registry as a subject; its table is there as `casestream db migrate` makes it."""
    table = TABLES[name]

    async def prepare(database: ClonedDatabase) -> None:
        conn = await asyncpg.connect(database.url("migrate"))
        try:
            await create_missing_versions(conn, [(name, version)])
        finally:
            await conn.close()

    return Subject(
        projection_group(name, version, topics).name,
        topics[0],
        numbered=True,
        make=partial(table.make, version),
        history=table.history,
        read=lambda database: table.read(database, version),
        prepare=prepare,
    )


def _command_history(key: str, length: int) -> list[CloudEvent]:
    """Create, then assign to one person after the other, who is noted in the history."""
    item = item_id(key)
    payloads: list[Payload] = [CreateWorkItem(work_item_id=item, title="A case")]
    payloads += [
        ApplyAction(work_item_id=item, action="Assign", new_assignee_id=f"u{number}") for number in range(2, length + 1)
    ]
    return [
        event(payload, TENANT, None, id=stable_id(key, number), source="upstream")
        for number, payload in enumerate(payloads[:length], 1)
    ]


async def _item_read(database: ClonedDatabase) -> dict[str, Applied]:
    found = await rows(
        database,
        "select work_item_id::text, position, action, assignee_id from work_item_state_history order by work_item_id, position",
    )
    last = {row["work_item_id"]: row for row in found}
    # A creation makes two rows: the draft and its submission.
    return {item: (row["position"] - 1, int((row["assignee_id"] or "u1")[1:])) for item, row in last.items()}


async def _people(database: ClonedDatabase) -> None:
    await execute(database, f"insert into tenants (tenant_id, name) values ('{TENANT}', 'Acme')")
    await execute(
        database,
        "insert into users (tenant_id, user_id, display_name, active) "
        f"select '{TENANT}', 'u' || n, 'U', true from generate_series(1, 2000) n",
    )


def _case_commands(key: str, length: int) -> list[CloudEvent]:
    return case_commands.history(TENANT, item_id(key), length, [stable_id(key, number + 1) for number in range(length)])


def _entity_changes(key: str, length: int) -> list[CloudEvent]:
    """A lead's life as an upstream without versions tells it: each change adds a field of its own."""
    lead = item_id(key)
    changes = [
        EntityChangeEvent(
            event_id=stable_id(key, number),
            entity_type="LEAD",
            entity_id=lead,
            change_type="CREATE" if number == 1 else "UPDATE",
            new_values={f"n{number}": number, "last": number},
            tenant_id=TENANT,
            timestamp=at(number),
        )
        for number in range(1, length + 1)
    ]
    return [
        replace(
            event(change, TENANT, None, id=change.event_id, source="upstream"),
            subject=lead,
            partitionkey=f"{TENANT}|LEAD|{lead}",
        )
        for change in changes
    ]


async def _entity_read(database: ClonedDatabase) -> dict[str, Applied]:
    """Fields count the changes that took effect: the row's revision counts batches."""
    found = await rows(database, "select entity_id, entity_values from entity_state")
    values = {row["entity_id"]: unpack_values(row["entity_values"]) for row in found}
    return {lead: (len(told) - 1, told["last"]) for lead, told in values.items()}


def _rule_changes(key: str, length: int) -> list[CloudEvent]:
    return rule_runs.history(TENANT, item_id(key), [stable_id(key, number) for number in range(1, length + 1)])


def _instance_commands(key: str, length: int) -> list[CloudEvent]:
    return onboarding_commands.history(TENANT, item_id(key), [stable_id(key, number) for number in range(1, length + 1)])


def _item_moves(key: str, length: int) -> list[CloudEvent]:
    return onboarding_commands.item_history(TENANT, item_id(key), [stable_id(key, number) for number in range(1, length + 1)])


def _entities() -> Processor[Any, Any]:
    return Entities(Outbox("casestream"))


def _work_items() -> Processor[Any, Any]:
    return WorkItems(Outbox("casestream"))


SUBJECTS: dict[str, Subject] = {
    subject.group: subject
    for subject in (
        *(table_version(*line) for line in PROJECTION_VERSIONS.values()),
        Subject(
            "work-items",
            "work-items.commands.v1",
            numbered=False,
            make=_work_items,
            history=_command_history,
            read=_item_read,
            prepare=_people,
        ),
        Subject(
            "cases",
            "case.commands.v1",
            numbered=False,
            make=case_commands.processor,
            history=_case_commands,
            read=case_commands.read,
            prepare=lambda database: case_commands.prepare(database, TENANT),
        ),
        Subject(
            "entities",
            "crm.entity.events",
            numbered=False,
            make=_entities,
            history=_entity_changes,
            read=_entity_read,
            prepare=lambda database: case_commands.prepare(database, TENANT),
        ),
        Subject(
            "workflow-engine",
            "crm.entity.events",
            numbered=False,
            make=rule_runs.processor,
            history=_rule_changes,
            read=rule_runs.read,
            prepare=lambda database: rule_runs.prepare(database, TENANT),
        ),
        Subject(
            "onboarding",
            "onboarding.commands.v1",
            numbered=False,
            make=onboarding_commands.onboarding,
            history=_instance_commands,
            read=onboarding_commands.read,
            prepare=lambda database: onboarding_commands.prepare(database, TENANT),
        ),
        Subject(
            "saga",
            "work-items.events.v1",
            numbered=True,
            make=onboarding_commands.saga,
            history=_item_moves,
            read=onboarding_commands.read_orders,
            prepare=lambda database: onboarding_commands.couple(database, TENANT, [item_id(key) for key in KEYS]),
        ),
        # Table versions of mappings are in no registry; one stands for all.
        Subject(
            case_snapshots.GROUP.name,
            case_snapshots.GROUP.topics[0],
            numbered=True,
            make=case_snapshots.projector,
            history=lambda key, length: case_snapshots.history(TENANT, item_id(key), length),
            read=case_snapshots.read,
            prepare=case_snapshots.prepare,
            latest_wins=True,
        ),
    )
}
