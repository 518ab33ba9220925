"""Volume for the demo: thousands of short-lived work items over Kafka, and a poison record now and then.

Each item is created, assigned, set waiting, taken back and resolved. Every thousandth record is poison under the key of an
item in the middle of its life: what follows of that item must wait behind it, everything else must flow.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

from domain.outbox import record_key
from domain.work_items.importing import ImportCommand
from schemas.work_items import Action, ApplyAction, CreateWorkItem

LIFE: tuple[Action, ...] = ("Assign", "SetWaitingCustomer", "BackToInProgress", "Resolve")
COMMANDS_PER_ITEM = 1 + len(LIFE)
POISON_EVERY = 1000
POISON_AFTER = 3  # commands of the poisoned item that go before; the rest follows into the parked rows
START = datetime(2026, 3, 2, 8, tzinfo=UTC)

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that no consumer can apply."""

    key: bytes
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Volume:
    """`items`: commands per item. `poison`: by the index of the item that it hits."""

    items: list[list[ImportCommand]]
    poison: dict[int, Poison]

    @property
    def commands(self) -> int:
        return sum(map(len, self.items)) + len(self.poison)

    @property
    def parked(self) -> int:
        """The poison and what follows it."""
        return len(self.poison) * (1 + COMMANDS_PER_ITEM - POISON_AFTER)

    def records(self) -> Iterator[ImportCommand | Poison]:
        """All first commands, then all second ones ...; poison before its item's next command."""
        for step in range(COMMANDS_PER_ITEM):
            for index, commands in enumerate(self.items):
                if step == POISON_AFTER and index in self.poison:
                    yield self.poison[index]
                yield commands[step]


def volume(count: int, run: str, tenants: tuple[str, ...], people: list[str]) -> Volume:
    """About `count` commands, the same for the same `run`."""
    amount = count // COMMANDS_PER_ITEM
    items = [_life(index, run, tenants[index % len(tenants)], people[index % len(people)]) for index in range(amount)]
    every = max(1, POISON_EVERY // COMMANDS_PER_ITEM)
    hit = range(every // 2, amount, every)
    return Volume(items, {index: _poison(number, items[index][0]) for number, index in enumerate(hit)})


def _life(index: int, run: str, tenant_id: str, person: str) -> list[ImportCommand]:
    item = uuid5(NAMESPACE_OID, f"volume/{run}/{index}")
    at = START + timedelta(seconds=index)
    create = CreateWorkItem(work_item_id=str(item), title=f"Generated request {index}", occurred_at=at, process="general")
    actions: list[CreateWorkItem | ApplyAction] = [
        ApplyAction(
            work_item_id=str(item),
            action=action,
            new_assignee_id=person if action == "Assign" else None,
            occurred_at=at + timedelta(hours=step),
        )
        for step, action in enumerate(LIFE, 1)
    ]
    return [ImportCommand(uuid5(item, str(step)), tenant_id, command) for step, command in enumerate([create, *actions])]


def _poison(number: int, victim: ImportCommand) -> Poison:
    item = victim.command.work_item_id
    key = record_key(victim.tenant_id, "work_item", item)
    whole: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid5(NAMESPACE_OID, f"poison/{item}")).encode()),
        ("ce_source", b"casestream.import"),
        ("ce_type", b"ApplyAction"),
        ("ce_tenant", victim.tenant_id.encode()),
        ("content-type", b"application/json"),
    ]
    named = {"workItemId": item, "action": "Resolve"}
    kinds: list[tuple[bytes, Headers]] = [
        (b'{"workItemId": "' + item.encode(), whole),
        (json.dumps(named).encode(), [(name, value) for name, value in whole if name != "ce_specversion"]),
        (json.dumps(named).encode(), [(name, b"FrobnicateItem" if name == "ce_type" else value) for name, value in whole]),
        (json.dumps(named | {"schemaVersion": 99}).encode(), whole),
        (json.dumps(named | {"note": "nul \u0000 character"}).encode(), whole),
        (b"\xff\xfe not UTF-8", whole),
        (json.dumps(named | {"note": "x" * 1_100_000}).encode(), whole),
    ]
    value, headers = kinds[number % len(kinds)]
    return Poison(key, value, headers)
