"""What the chapter stores: every update of every incident as a snapshot of its case, and generated orders.

An incident's case has the log's fields as variables, `?` as null; its caller is its subject. An order has a list, maps and an
exact amount, and belongs to a customer; one order in ten is changed once. The same `run` gives the same snapshots.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

from demo.generator import NOBODY
from domain.outbox import record_key
from domain.work_items.import_mapping import ImportMapping
from domain.work_items.importing import Importer, Row
from schemas.cases import StoreSnapshot
from schemas.envelope import CloudEvent

SOURCE = "casestream.import"
INCIDENT, ORDER = "com.app.Incident", "com.app.OrderCase"
CUSTOMERS = 2_000
CHANGED_EVERY = 10
_REGIONS = ("north", "centre", "south", "islands")
_WAREHOUSES = ("Hanoi", "Hue", "Da Nang")
_GOODS = 120


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One command: what to store, for whom."""

    tenant_id: str
    command: StoreSnapshot
    number: int = 1

    def envelope(self) -> CloudEvent:
        case_id = self.command.case_id
        return CloudEvent(
            id=str(uuid5(NAMESPACE_OID, f"{self.tenant_id}/{case_id}/{self.number}")),
            source=SOURCE,
            type=self.command.TYPE,
            tenant=self.tenant_id,
            subject=case_id,
            data=self.command.to_json(),
            dataschema=self.command.dataschema(),
            partitionkey=record_key(self.tenant_id, "case", case_id).decode(),
        )


def incident_snapshots(rows: Iterable[Row], mapping: ImportMapping, run: str) -> list[list[Snapshot]]:
    """Per incident one snapshot for each of its rows, in their order."""
    importer, columns = Importer(mapping, run), mapping.columns
    histories: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        histories[row[columns.item]].append(row)
    return [
        [
            _incident(importer.tenant_of(number), row, run, position)
            for position, row in enumerate(sorted(history, key=lambda row: int(row[columns.order])), 1)
        ]
        for number, history in histories.items()
    ]


def _incident(tenant_id: str, row: Row, run: str, position: int) -> Snapshot:
    variables = {name: None if value == NOBODY else value for name, value in row.items()}
    command = StoreSnapshot(
        case_id=f"{row['number']}-{run}",
        class_name=INCIDENT,
        subject_id=row.get("caller_id", NOBODY).replace(" ", "-").lower(),
        business_key=row["number"],
        state="Completed" if row["incident_state"] == "Closed" else "Active",
        variables=json.dumps(variables),
    )
    return Snapshot(tenant_id, command, position)


def order_snapshots(count: int, tenants: Sequence[str], run: str) -> list[list[Snapshot]]:
    """Orders of customers, dealt out to the tenants."""
    return [_order_history(number, tenants[number % len(tenants)], run) for number in range(count)]


def order_change(number: int, tenants: Sequence[str], run: str, version: int) -> Snapshot:
    """A later version of an order, as live traffic."""
    return _order(number, tenants[number % len(tenants)], run, version)


def _order_history(number: int, tenant_id: str, run: str) -> list[Snapshot]:
    versions = 2 if number % CHANGED_EVERY == 0 else 1
    return [_order(number, tenant_id, run, version) for version in range(1, versions + 1)]


def customer_of(number: int) -> str:
    """Whose order it is."""
    return f"customer-{number % CUSTOMERS:05d}"


def _order(number: int, tenant_id: str, run: str, version: int) -> Snapshot:
    chance = random.Random(f"{number}/{version}")
    items = [_item(chance) for _ in range(chance.randrange(1, 5))]
    cents = sum(quantity * price for _, quantity, price in items)
    customer = customer_of(number)
    variables = {
        "orderedAt": f"2026-03-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}:00Z",
        "currency": "VND" if number % 3 else "EUR",
        # Amounts travel as text: a reader's float would change some of them.
        "total": _amount(cents),
        "items": [{"sku": sku, "quantity": quantity, "price": _amount(price)} for sku, quantity, price in items],
        "params": {
            "region": chance.choice(_REGIONS),
            "channel": chance.choice(("web", "shop")),
            "warehouse": chance.choice(_WAREHOUSES),
        },
        "flags": {"priority": True} if number % 7 == 0 else {},
        "customer": {"name": f"Customer {customer}", "email": f"{customer}@example.org", "points": number * 1_000_003},
    }
    command = StoreSnapshot(
        case_id=f"ORD{number:06d}-{run}",
        class_name=ORDER,
        subject_id=f"{customer}-{run}",
        business_key=f"ORD{number:06d}",
        state="Active" if version == 1 else "Completed",
        variables=json.dumps(variables),
    )
    return Snapshot(tenant_id, command, version)


def _item(chance: random.Random) -> tuple[str, int, int]:
    return f"SKU-{chance.randrange(_GOODS):03d}", chance.randrange(1, 6), chance.randrange(199, 99_999)


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def interleaved(histories: Sequence[Sequence[Snapshot]]) -> Iterator[Snapshot]:
    """First versions of all cases, then second ones, and so on."""
    longest = max(map(len, histories), default=0)
    for turn in range(longest):
        yield from (history[turn] for history in histories if turn < len(history))
