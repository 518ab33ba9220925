"""Nothing lost, nothing out of order: the tortures of outbox and relay, short in the suite, in full by `make torture`."""

from collections.abc import Callable
from dataclasses import replace
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
from tests.torture.outbox_record import once

# Writers that go on until the last kill.
ENDLESS = Load(events=10_000_000, writers=8, pace=600)


@pytest_asyncio.fixture
async def arena(database: ClonedDatabase, fresh_kafka: FreshKafka, tmp_path: Path) -> Arena:
    await fresh_kafka.create_topics([TOPIC], partitions=8)
    return Arena(database.url("migrate"), fresh_kafka, tmp_path)


async def arena_on(bootstrap: str, database_url: str, folder: Path) -> Arena:
    kafka = FreshKafka(bootstrap)
    await kafka.create_topics([TOPIC], partitions=8)
    return Arena(database_url, kafka, folder)


async def own_arena(make: Callable[..., PostgresServer], kafka: str, folder: Path) -> tuple[PostgresServer, Arena]:
    server = make()
    await apply_roles(server.url(), password_of(server.url()))
    await migrations.apply(server.url(user="cs_migrate"))
    return server, await arena_on(kafka, server.url(user="cs_migrate"), folder)


def never_late(arena: Arena) -> Arena:
    """For relays that only leave when asked: a lease that a busy machine lets run out costs a page that is sent twice."""
    return replace(arena, lease_seconds=30.0)


def sound(figures: torture.Figures) -> None:
    assert (figures["lost"], figures["inversions"], figures["invented"]) == (0, 0, 0), figures
    assert figures.get("exit_code", 0) == 0, figures
    assert figures["events"] > 0


@pytest.mark.requirement("SP-2")
async def test_hostile_writers_and_an_idle_snapshot_lose_nothing(arena: Arena) -> None:
    # A floor rises about once a second: at an even pace of ten seconds it is a tenth behind, however fast the machine is.
    figures = await torture.oracle_run(never_late(arena), Load(events=15_000, pace=1_500), sample_every=0.2)

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
    sound(await torture.kills_at_every_step(arena, ENDLESS, rounds=1))


@pytest.mark.requirement("SP-7")
async def test_a_relay_that_is_asked_to_leave_sends_nothing_twice(arena: Arena) -> None:
    figures = await torture.rolling_restarts(never_late(arena), ENDLESS, rounds=3)

    sound(figures)
    assert figures["duplicates"] == 0


@pytest.mark.requirement("SP-7")
async def test_a_relay_that_slept_past_its_lease_deletes_nothing(arena: Arena) -> None:
    figures = await torture.frozen_relays(arena, ENDLESS, rounds=3)

    sound(figures)
    assert figures["deletes_by_an_old_term"] == 0


@pytest.mark.requirement("SP-2")
@pytest.mark.hole("floor-drops-candidate-on-new-connection")
async def test_a_killed_database_loses_nothing(own_postgres: Callable[..., PostgresServer], kafka: str, tmp_path: Path) -> None:
    server, arena = await own_arena(own_postgres, kafka, tmp_path)

    sound(await torture.database_kills(arena, server, ENDLESS, rounds=2, pause=1.5))


@pytest.mark.requirement("SP-2")
@pytest.mark.hole("page-abort-keeps-acked-prefix")
async def test_a_killed_broker_loses_nothing(
    database: ClonedDatabase, own_kafka: Callable[..., KafkaCluster], tmp_path: Path
) -> None:
    cluster = own_kafka()
    arena = await arena_on(cluster.bootstrap_servers, database.url("migrate"), tmp_path)

    sound(await torture.broker_kills(arena, cluster, ENDLESS, rounds=2))


async def test_while_the_broker_is_away_writers_go_on_and_then_the_outbox_drains(
    database: ClonedDatabase, own_kafka: Callable[..., KafkaCluster], tmp_path: Path
) -> None:
    cluster = own_kafka()
    arena = await arena_on(cluster.bootstrap_servers, database.url("migrate"), tmp_path)

    figures = await torture.broker_away(arena, cluster, ENDLESS, seconds=4)

    sound(figures)
    assert figures["accepted_meanwhile"] > 0


@pytest.mark.torture
@pytest.mark.timeout(3600)
async def test_full_oracle(arena: Arena) -> None:
    figures = await once("oracle", lambda: torture.oracle_run(arena, Load(events=200_000, writers=24), sample_every=1.0))

    sound(figures)
    assert figures["poll"]["floor_ms_last"] < max(3 * figures["poll"]["floor_ms_first"], 5.0), figures


@pytest.mark.torture
@pytest.mark.timeout(3600)
async def test_full_controls(arena: Arena) -> None:
    figures = await once("controls", lambda: torture.control_run(arena, Load(events=40_000, writers=24)))

    assert figures["id > last"]["lost"] > 0, figures
    assert figures["(xid, id)"]["inversions"] > 0, figures


@pytest.mark.torture
@pytest.mark.timeout(3600)
async def test_full_kills_at_every_step(arena: Arena) -> None:
    sound(await once("kills-at-every-step", lambda: torture.kills_at_every_step(arena, ENDLESS, rounds=20)))


@pytest.mark.torture
@pytest.mark.timeout(3600)
async def test_full_restarts(arena: Arena) -> None:
    figures = await once("restarts", lambda: torture.rolling_restarts(never_late(arena), ENDLESS, rounds=100))

    sound(figures)
    assert figures["duplicates"] == 0


@pytest.mark.torture
@pytest.mark.timeout(3600)
async def test_full_frozen_relays(arena: Arena) -> None:
    figures = await once("frozen-relays", lambda: torture.frozen_relays(arena, ENDLESS, rounds=20))

    sound(figures)
    assert figures["deletes_by_an_old_term"] == 0


@pytest.mark.torture
@pytest.mark.timeout(3600)
async def test_full_database_kills(own_postgres: Callable[..., PostgresServer], kafka: str, tmp_path: Path) -> None:
    server, arena = await own_arena(own_postgres, kafka, tmp_path)

    sound(await once("database-kills", lambda: torture.database_kills(arena, server, ENDLESS, rounds=20, pause=1.5)))


@pytest.mark.torture
@pytest.mark.timeout(3600)
async def test_full_broker_kills(database: ClonedDatabase, own_kafka: Callable[..., KafkaCluster], tmp_path: Path) -> None:
    cluster = own_kafka()
    arena = await arena_on(cluster.bootstrap_servers, database.url("migrate"), tmp_path)

    sound(await once("broker-kills", lambda: torture.broker_kills(arena, cluster, ENDLESS, rounds=20)))


@pytest.mark.torture
@pytest.mark.timeout(3600)
async def test_full_broker_away(database: ClonedDatabase, own_kafka: Callable[..., KafkaCluster], tmp_path: Path) -> None:
    cluster = own_kafka()
    arena = await arena_on(cluster.bootstrap_servers, database.url("migrate"), tmp_path)

    sound(await once("broker-away", lambda: torture.broker_away(arena, cluster, ENDLESS, seconds=300)))
