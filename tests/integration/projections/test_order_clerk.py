"""Who carries out what was ordered about finished versions."""

from pathlib import Path

import asyncpg
import pytest

from domain.rebuilds import commands
from domain.rebuilds.commands import Person
from projections import ddl_orders
from projections.rebuild.orders import MOVES, OrderClerk
from projections.versions import list_versions
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


_EQUAL = (
    "insert into projection_orders (order_id, kind, name, version, against, requested_by, state, verdict, compared_at)"
    " values (gen_random_uuid(), 'verify', $1, $2, 1, 'test', 'done', 'equal', cs_now())"
)


async def _three_versions(owner: asyncpg.Connection) -> None:
    """The first one serves; two are ready and were both found equal to it."""
    for state in ("serving", "ready", "ready"):
        version = await make_version(owner, order_spec())
        await owner.execute("update projection_versions set state = $1 where name = $2 and version = $3", state, NAME, version)
    await owner.execute("update projection_tables set serving_version = 1 where name = $1", NAME)
    for version in (2, 3):
        await owner.execute(_EQUAL, NAME, version)


@pytest.mark.requirement("CD-13")
@pytest.mark.parametrize(("reason", "serves"), [("", 2), ("we looked at it", 3)])
async def test_of_two_switches_at_once_the_second_is_not_allowed_by_a_comparison_with_the_former_version(
    database: ClonedDatabase, pools: dict[str, asyncpg.Pool], tmp_path: Path, reason: str, serves: int
) -> None:
    """Both are judged before either has happened; the view must not move from 2 to 3, which nobody ever compared."""
    owner = await asyncpg.connect(database.url("migrate"))
    await _three_versions(owner)
    clerk = OrderClerk(settings_for(database, tmp_path), pools["scan"], pools["worker"], "test", kinds=MOVES)
    ids = []
    for version, why in ((2, ""), (3, reason)):
        async with pools["worker"].acquire() as conn:
            ordered = await commands.order_switch(conn, OPERATOR, NAME, version, why)
        assert not isinstance(ordered, Rejected), ordered
        ids.append(ordered["order_id"])
        assert await clerk.next(ids[-1])
    first, second = await ddl_orders.execute_open(owner, development=False)
    assert (first.version, first.state) == (2, "executed")
    assert second.state == ("executed" if reason else "refused"), second
    assert [one.version for one in await list_versions(owner, NAME, states=["serving"])] == [serves]
    if not reason:
        await owner.execute("update projection_orders set expires_at = '-infinity' where order_id = $1", ids[-1])
        assert await clerk.next(ids[-1])
        ended = await commands.find_order(owner, ids[-1])
        assert ended["state"] == "refused"
        assert ended["message"] == (
            "version 3 was compared with version 1, but version 2 serves now: verify version 3 again, then switch"
        )
    await owner.close()
