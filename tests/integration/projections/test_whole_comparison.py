"""A version that lacks most of its rows is told so without a list of all of them in memory."""

import asyncpg
import pytest

from projections.cases.opening import Opener
from projections.rebuild import whole
from projections.versions import find_version
from runtime.keys.ring import KeyRing
from runtime.postgres import tenants_transaction
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.conftest import keys_pool, pools, ring
from tests.integration.projections.tables import NAME, make_version, order_spec

__all__ = ["keys_pool", "pools", "ring"]

AT = "2026-01-05T08:00:00Z"


@pytest.mark.requirement("CD-13")
async def test_a_table_that_lacks_its_rows_is_different_and_the_list_of_them_bounded(
    database: ClonedDatabase, pools: dict[str, asyncpg.Pool], ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "MOST_OLDER", 5, raising=False)
    owner = await asyncpg.connect(database.url("migrate"))
    await make_version(owner, order_spec())
    version = await find_version(owner, NAME, 1)
    await owner.close()
    for number in range(12):
        await pools["superuser"].execute(
            "insert into cases (tenant_id, case_id, class_name, subject_id, version, created_at, created_by, updated_at,"
            f" updated_by) values ('acme', 'c{number}', 'com.app.OrderCase', 's', 1, '{AT}', 'u', '{AT}', 'u')"
        )
    look = whole._Look(order_spec(), version, Opener(order_spec(), ring, b"key"))
    async with tenants_transaction(pools["worker"], ["acme"]) as conn:
        after = await look.page(conn, ("", ""))
        assert after is not None
        assert await look.page(conn, after) is None
    assert len(look.older) == 5
    assert [one.reason for one in look.unjudged()] == ["7 more cases have an older row or none: let the version catch up"]
