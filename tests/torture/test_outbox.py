"""Nothing lost, nothing out of order: the tortures of outbox and relay, short in the suite, in full by `make torture`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio

from runtime import migrations
from runtime.stack.kafka import KafkaCluster
from runtime.stack.postgres import PostgresServer
from runtime.stack.roles import apply_roles
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.servers import password_of
from tests.infrastructure.topics import FreshKafka
from tests.torture import outbox_torture as torture
from tests.torture.outbox_arena import Arena
from tests.torture.outbox_load import TOPIC, Load


@pytest_asyncio.fixture
async def arena(database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path) -> Arena:
    await fresh_kafka.create_topics([TOPIC], partitions=8)
    return Arena(database.url("migrate"), fresh_kafka, tmp_path)


async def arena_on(bootstrap: str, database_url: str, folder: Path) -> Arena:
    kafka = FreshKafka(bootstrap)
    await kafka.create_topics([TOPIC], partitions=8)
    return Arena(database_url, kafka, folder)


def sound(figures: torture.Figures) -> None:
    print(figures)
    assert (figures["lost"], figures["inversions"], figures["invented"]) == (0, 0, 0), figures
    assert figures.get("exit_code", 0) == 0, figures
    assert figures["events"] > 0


@pytest.mark.requirement("SP-2")
async def test_hostile_writers_and_an_idle_snapshot_lose_nothing(arena: Arena) -> None:
    figures = await torture.oracle_run(arena, Load(events=15_000), sample_every=0.2)

    sound(figures)
    assert figures["duplicates"] == 0
    poll = figures["poll"]
    assert poll["floor_buffers_last"] < poll["no_floor_buffers_last"] / 3, poll


async def test_the_cursors_that_people_use_fail_under_the_same_load(arena: Arena) -> None:
    figures = await torture.control_run(arena, Load(events=6_000))

    assert figures["id > last"]["lost"] > 0, figures
    assert figures["(xid, id)"]["lost"] == 0, figures
    assert figures["(xid, id)"]["inversions"] > 0, figures


@pytest.mark.requirement("SP-2", "SP-7")
@pytest.mark.hole("page-abort-keeps-acked-prefix")
async def test_a_relay_killed_at_any_step_loses_nothing(arena: Arena) -> None:
    sound(await torture.kills_at_every_step(arena, Load(events=1_000_000, writers=4, pace=400), rounds=1))


@pytest.mark.requirement("SP-7")
async def test_a_relay_that_slept_past_its_lease_deletes_nothing(arena: Arena) -> None:
    figures = await torture.frozen_relays(arena, Load(events=1_000_000, writers=4, pace=400), rounds=3)

    sound(figures)
    assert figures["deletes_by_an_old_term"] == 0


@pytest.mark.requirement("SP-2")
@pytest.mark.hole("floor-drops-candidate-on-new-connection")
async def test_a_killed_database_loses_nothing(own_postgres: Callable[..., PostgresServer], kafka: str, tmp_path: Path) -> None:
    server = own_postgres()
    await apply_roles(server.url(), password_of(server.url()))
    await migrations.apply(server.url(user="cs_migrate"))
    arena = await arena_on(kafka, server.url(user="cs_migrate"), tmp_path)

    sound(await torture.database_kills(arena, server, Load(events=1_000_000, writers=8, pace=800), rounds=2, pause=1.5))


@pytest.mark.requirement("SP-2")
@pytest.mark.hole("page-abort-keeps-acked-prefix")
async def test_a_killed_broker_loses_nothing(
    database: ClonedDatabase, own_kafka: Callable[..., KafkaCluster], tmp_path: Path
) -> None:
    cluster = own_kafka()
    arena = await arena_on(cluster.bootstrap_servers, database.url("migrate"), tmp_path)

    sound(await torture.broker_kills(arena, cluster, Load(events=1_000_000, writers=4, pace=800), rounds=2))


async def test_while_the_broker_is_away_writers_go_on_and_then_the_outbox_drains(
    database: ClonedDatabase, own_kafka: Callable[..., KafkaCluster], tmp_path: Path
) -> None:
    cluster = own_kafka()
    arena = await arena_on(cluster.bootstrap_servers, database.url("migrate"), tmp_path)

    figures = await torture.broker_away(arena, cluster, Load(events=1_000_000, writers=4, pace=800), seconds=4)

    sound(figures)
    assert figures["accepted_meanwhile"] > 0
