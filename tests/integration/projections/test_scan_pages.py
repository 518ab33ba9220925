"""Pages of the store: each looks at a bounded part of it, however few rows of the table's classes that part has."""

from uuid import uuid4

import asyncpg
import pytest

from domain.cases.mapping.tables import TableSpec
from projections.cases.opening import Opener
from projections.rebuild import scan
from projections.rebuild.scan import StoreScanner
from projections.rebuild.slices import Slice
from runtime.keys.ring import KeyRing
from tests.integration.keys.conftest import keys_pool, pools, ring

__all__ = ["keys_pool", "pools", "ring"]

AT = "2026-01-05T08:00:00Z"


@pytest.mark.requirement("CD-13")
async def test_a_page_of_a_rare_class_ends_after_so_many_numbers(
    pools: dict[str, asyncpg.Pool], ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise one statement reads a whole slice of other classes, passes its time limit, and does so for ever."""
    monkeypatch.setattr(scan, "MOST_NUMBERS", 10)
    await _store(pools["superuser"], ["Other"] * 35 + ["Rare"] * 2 + ["Other"] * 5)
    scanner = StoreScanner(pools["scan"], pools["worker"], ring, None, "test")
    opener = Opener(TableSpec("case_plain_rare", (), {"Rare": ()}, ()), ring, None)
    part = Slice(uuid4(), "case_plain_rare", 1, None, None, 0, 1, 42, 0, 1)
    cursors, found = [0], []
    while cursors[-1] < part.last:
        page = await scanner._page(part, ["acme"], opener, cursors[-1])
        cursors.append(page.cursor)
        found += [row["seq"] for row in page.rows]
    assert cursors == [0, 10, 20, 30, 37, 42]
    assert found == [36, 37]


async def _store(owner: asyncpg.Pool, classes: list[str]) -> None:
    for number, name in enumerate(classes):
        await owner.execute(
            "insert into cases (tenant_id, case_id, class_name, subject_id, version, created_at, created_by, updated_at,"
            f" updated_by) values ('acme', 'c{number}', '{name}', 's', 1, '{AT}', 'u', '{AT}', 'u')"
        )
        await owner.execute(
            "insert into sys_case_data_store (tenant_id, case_id, version, class_name, subject_id, snapshot, stored_at,"
            f" stored_by, source) values ('acme', 'c{number}', 1, '{name}', 's', 'x', '{AT}', 'u', 'test')"
        )
