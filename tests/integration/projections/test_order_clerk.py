"""Who carries out what was ordered about finished versions."""

from pathlib import Path

import asyncpg
import pytest

from domain.rebuilds import commands
from domain.rebuilds.commands import Person
from projections.rebuild.orders import MOVES, OrderClerk
from schemas.errors import Rejected
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.keys.conftest import pools, settings_for
from tests.integration.projections.tables import NAME, make_version, order_spec

__all__ = ["pools"]

OPERATOR = Person("operator")


@pytest.mark.requirement("CD-13")
async def test_a_switch_back_does_not_wait_behind_a_comparison(
    database: ClonedDatabase, pools: dict[str, asyncpg.Pool], tmp_path: Path
) -> None:
    """A comparison reads whole tables, for an hour if need be; readers of a bad version cannot wait so long."""
    owner = await asyncpg.connect(database.url("migrate"))
    for state in ("standby", "serving"):
        version = await make_version(owner, order_spec())
        await owner.execute("update projection_versions set state = $1 where name = $2 and version = $3", state, NAME, version)
    await owner.execute("update projection_tables set serving_version = 2 where name = $1", NAME)
    await owner.close()
    async with pools["worker"].acquire() as conn:
        verify = await commands.order_verify(conn, OPERATOR, NAME, 1)
        await commands.order_switch_back(conn, OPERATOR, NAME)

    clerk = OrderClerk(settings_for(database, tmp_path), pools["scan"], pools["worker"], "test", kinds=MOVES)
    assert await clerk.next()
    assert not isinstance(verify, Rejected)
    async with pools["worker"].acquire() as conn:
        assert (await commands.find_order(conn, verify["order_id"]))["state"] == "ordered", "another clerk's"
        assert await conn.fetchval("select version from ddl_orders where kind = 'switch'") == 1
