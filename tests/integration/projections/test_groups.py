"""Groups of table versions are known wherever groups are listed, and their members are followed over the catalogue."""

import asyncio
import itertools

import pytest

from domain.operations.groups import known_groups, list_groups
from projections.fleet import Fleet
from projections.versions import ACTIVE, TRANSITIONS, create_version, find_version, set_state
from runtime.cli.roles import check_roles
from runtime.settings import Settings
from runtime.topics import wanted_topics
from schemas.errors import ConfigurationError, NotFound
from schemas.registry import GROUPS
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.database.conftest import Connect, connect
from tests.integration.projections.tables import NAME, make_version, order_spec

__all__ = ["connect"]

GROUP = f"projections.{NAME}.v1"


def settings_for(database: ClonedDatabase) -> Settings:
    return Settings.load({"DATABASE_URL": database.url("migrate"), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})


@pytest.mark.requirement("SP-6")
@pytest.mark.parametrize("role", ["api", "worker", "scan"])
async def test_a_versions_group_and_its_dead_letter_topic_are_known(
    connect: Connect, database: ClonedDatabase, role: str
) -> None:
    owner, conn = await connect("migrate"), await connect(role)  # type: ignore[arg-type]
    assert set(await known_groups(conn)) == set(GROUPS)
    await make_version(owner, order_spec())
    known = await known_groups(conn)
    assert set(known) == {*GROUPS, GROUP}
    topics = {topic.name for topic in wanted_topics(settings_for(database), known.values())}
    assert f"case.snapshots.v1.{GROUP}.dlt" in topics
    if role == "worker":
        assert GROUP in {row["group_name"] for row in await list_groups(conn)}
    await set_state(owner, NAME, 1, {"building"}, "retired")
    assert set(await known_groups(conn)) == set(GROUPS)


async def test_a_retired_version_of_the_registry_is_no_group_either(connect: Connect) -> None:
    owner = await connect("migrate")
    await owner.execute("update projection_versions set state = 'retired'")
    assert "projections.work_item_board.v1" not in await known_groups(owner)


@pytest.mark.requirement("CD-12")
async def test_a_version_moves_only_as_the_table_of_moves_says(connect: Connect) -> None:
    conn = await connect("api")
    await create_version(conn, order_spec(), by="test")
    for start, to in itertools.product(TRANSITIONS, TRANSITIONS):
        if to not in TRANSITIONS[start]:
            with pytest.raises(ValueError, match="no version goes"):
                await set_state(conn, NAME, 1, {start}, to)
    assert not await set_state(conn, NAME, 1, {"standby"}, "serving"), "it is in another state"
    assert await set_state(conn, NAME, 1, {"planned"}, "building")
    assert (await find_version(conn, NAME, 1)).state in ACTIVE
    with pytest.raises(NotFound):
        await create_version(conn, "no_such_board", by="test")


async def test_one_version_alone_must_be_one_that_exists(database: ClonedDatabase) -> None:
    check_roles(["projections.case_plain_order_case.v3", "ddl"])
    with pytest.raises(ConfigurationError):
        check_roles(["projections.case_plain_order_case"])
    fleet = Fleet(settings_for(database), 0, asyncio.Event(), ["projections.no_such_table.v1"])
    with pytest.raises(ConfigurationError, match=r"work_item_board\.v1"):
        await fleet.run()
