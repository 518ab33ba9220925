"""Orders of two tenants in the tables that analysts read, and what questions about them must answer."""

import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import asyncpg

from domain.cases.documents import parse_document
from projections.cases.project import Envelope, Protection, compile_projection
from projections.cases.writing import CaseRow, write_rows
from tests.integration.projections.tables import NAME, make_version, order_spec, sees, switch

REGIONS = ("central", "north", "south", None)
SKUS = ("an-1", "bo-2", "cy-3", "di-4")
CANARY = "canary-2209"
TENANTS = ("acme", "other")


@dataclass(frozen=True)
class Order:
    """A generated order, exact."""

    tenant: str
    case_id: str
    region: str | None
    total: Decimal
    items: tuple[tuple[str, int], ...]

    def document(self) -> dict[str, Any]:
        items = [{"sku": sku, "quantity": quantity, "price": "1.00"} for sku, quantity in self.items]
        text = json.dumps(
            {
                "className": "com.app.OrderCase",
                "businessKey": self.case_id,
                "params": {} if self.region is None else {"region": self.region},
                "customer": {"name": f"Customer of {self.tenant} {CANARY}", "email": f"{self.case_id}@x.test"},
                "items": items,
            }
        )
        return parse_document(text.replace("{", f'{{"total": {self.total}, ', 1).encode())


def orders(tenant: str, count: int) -> list[Order]:
    chosen = random.Random(tenant)
    return [
        Order(
            tenant,
            f"{tenant}-{number:04}",
            chosen.choice(REGIONS),
            Decimal(chosen.randrange(1, 10**9)).scaleb(-2),
            tuple((chosen.choice(SKUS), chosen.randrange(1, 9)) for _ in range(chosen.randrange(4))),
        )
        for number in range(count)
    ]


async def fill(owner: asyncpg.Connection, worker: asyncpg.Connection, found: list[Order]) -> None:
    """A version of the order table that serves, with these orders projected into it."""
    spec = order_spec()
    version = await make_version(owner, spec)
    projection = compile_projection(spec, Protection(b"k" * 32, lambda *_: b"sealed"))
    rows = []
    for order in found:
        made = projection.rows(order.document(), Envelope(order.tenant, order.case_id, "com.app.OrderCase", 1, "s"))
        rows.append(CaseRow(order.tenant, order.case_id, 1, "s", made.main, made.children))
    await sees(worker, *TENANTS)
    await write_rows(worker, spec, version, rows)
    done = await switch(owner, NAME, version)
    assert done.state == "executed", done


def revenue(found: list[Order]) -> list[tuple[str | None, int, Decimal]]:
    """By region: how many orders, and their total."""
    by_region = defaultdict(list)
    for order in found:
        by_region[order.region].append(order.total)
    return [
        (region, len(totals), sum(totals, Decimal(0)))
        for region, totals in sorted(by_region.items(), key=lambda each: (each[0] is None, each[0]))
    ]


def sold(found: list[Order]) -> list[tuple[str, int]]:
    """By article: how many were sold."""
    count = Counter[str]()
    for order in found:
        for sku, quantity in order.items:
            count[sku] += quantity
    return sorted(count.items())


def above(found: list[Order], limit: Decimal) -> list[tuple[str, Decimal]]:
    """The orders above a limit in the region north."""
    return sorted((order.case_id, order.total) for order in found if order.total > limit and order.region == "north")
