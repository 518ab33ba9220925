"""An audit log of cases to work item commands: pure, row by row, with stable ids, so that publishing twice repeats nothing.

Per item, rows in their order. The first row creates the item open; then each row

1. whose state changed (or is the first) asks what the state means for the status that the item is expected to have
2. whose assignee changed to a value, where (1) gave no Assign, adds Assign

Every command carries the row's instant as `occurredAt`. The expected status is the fold of the commands that the state
machine accepts; a forbidden command is published all the same: the log says that people did it, the answer says no.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import NAMESPACE_OID, UUID, uuid5

from domain.work_items.import_mapping import ImportMapping
from domain.work_items.transitions import next_status
from schemas.work_items import Action, ApplyAction, CreateWorkItem

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImportCommand:
    """One command to send. `id` is stable: the same row gives the same command."""

    id: UUID
    tenant_id: str
    command: CreateWorkItem | ApplyAction

    @property
    def name(self) -> str:
        return "Create" if isinstance(self.command, CreateWorkItem) else self.command.action


class Importer:
    """Turns rows into commands and counts what it could not map.

    `run` tells several imports of one log apart: other items, other commands. Without it, importing again repeats nothing.
    """

    def __init__(self, mapping: ImportMapping, run: str = "") -> None:
        self.mapping, self.run = mapping, run
        self.unmapped: Counter[str] = Counter()

    def commands(self, rows: Iterable[Row]) -> list[list[ImportCommand]]:
        """All commands, one list per item in order. Raises ValueError naming a row that lacks a column or has a bad one."""
        items: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            items[row[self.mapping.columns.item]].append(row)
        order = self.mapping.columns.order
        return [list(self._item(number, sorted(history, key=lambda row: int(row[order])))) for number, history in items.items()]

    def tenant_of(self, number: str) -> str:
        """The tenant of an item, by a hash of its number."""
        return self.mapping.tenants[int.from_bytes(sha256(number.encode()).digest()[:4]) % len(self.mapping.tenants)]

    def _item(self, number: str, history: Sequence[Row]) -> Iterator[ImportCommand]:
        item = _Item(self, number, history[0])
        yield item.create()
        for row in history:
            yield from item.take(row)


class _Item:
    """One item while its rows are read: the fold that tells what the next state change means."""

    def __init__(self, importer: Importer, number: str, first: Row) -> None:
        self._importer, self._mapping, self._first = importer, importer.mapping, first
        self._tenant_id = importer.tenant_of(number)
        self._id = uuid5(NAMESPACE_OID, f"{self._mapping.source}/{importer.run}/{self._tenant_id}/{number}")
        self._count = 0
        self._status: str = "open"
        self._last_at = self._at(first)
        self._state: str | None = None
        self._named: str | None = None

    def create(self) -> ImportCommand:
        create, priority = self._mapping.create, self._mapping.create.priority
        return self._command(
            CreateWorkItem(
                work_item_id=str(self._id),
                title=create.title.format_map(self._first),
                request_type=create.request_type,
                activity_area=create.activity_area,
                business_group=create.business_group,
                process=create.process,
                priority=priority.values.get(self._first[priority.column], "medium") if priority else "medium",
                occurred_at=self._last_at,
                requested_by=self._first[self._mapping.columns.by],
            )
        )

    def take(self, row: Row) -> Iterator[ImportCommand]:
        columns = self._mapping.columns
        state, named = row[columns.state], self._value(row[columns.assignee])
        action = self._action_of(state, named) if state != self._state else None
        if action is not None:
            yield self._act(action, row, named if action == "Assign" else None)
        if named is not None and named != self._named and action != "Assign":
            yield self._act("Assign", row, named)
        self._state, self._named = state, named

    def _action_of(self, state: str, named: str | None) -> Action | None:
        meaning = self._mapping.meaning(state, self._status)
        if meaning == "unmapped":
            self._importer.unmapped[f"{state} while {self._status}"] += 1
        if meaning in ("unmapped", "nothing"):
            return None
        return ("Assign" if named else "StartWork") if meaning == "assign-or-start" else meaning  # type: ignore[return-value]

    def _act(self, action: Action, row: Row, assignee: str | None) -> ImportCommand:
        at = self._at(row)
        after = next_status(action, self._status)  # type: ignore[arg-type]
        if after is not None and at >= self._last_at:
            self._status, self._last_at = after, at
        return self._command(
            ApplyAction(
                work_item_id=str(self._id),
                action=action,
                new_assignee_id=assignee,
                occurred_at=at,
                requested_by=row[self._mapping.columns.by],
            )
        )

    def _command(self, command: CreateWorkItem | ApplyAction) -> ImportCommand:
        self._count += 1
        return ImportCommand(uuid5(self._id, str(self._count)), self._tenant_id, command)

    def _at(self, row: Row) -> datetime:
        return self._mapping.columns.instant(row[self._mapping.columns.at])

    def _value(self, text: str) -> str | None:
        return None if text in ("", self._mapping.columns.none) else text
