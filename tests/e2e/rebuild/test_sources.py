"""Where a rebuild may read from: a topic that reaches back, the store, and, for work items, only their topic."""

import random

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from domain.rebuilds import commands
from tests.e2e.rebuild.test_rebuild import history
from tests.e2e.rebuild.world import OPERATOR, TABLE, TOPIC, World
from tests.e2e.shell.harness import event, produce
from tests.e2e.shell.test_work_item_board import history as item_history

BOARD = "work_item_board"


async def forget_the_first(world: World, topic: str) -> None:
    """What a retention that was once too short did."""
    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(world.kafka.topic(topic), 0): RecordsToDelete(before_offset=1)})
    finally:
        await admin.close()


@pytest.mark.requirement("CD-13", "trap-88")
@pytest.mark.hole("history-incomplete")
async def test_a_topic_that_lost_its_first_event_is_refused_and_the_store_fills_in(world: World) -> None:
    await world.serve_first()
    await world.applied(1, await history(world, random.Random(1), 8, 30))
    await forget_the_first(world, TOPIC)
    refused = await world.until_state(await world.order("topic"), "refused")
    assert "no longer begin at 0" in refused["message"]
    assert "--from store" in refused["message"]
    assert refused["version"] is None, "nothing was made"
    ready = await world.until_state(await world.order("store"), "ready")
    await world.applied(ready["version"], 0)
    assert await world.rows(ready["version"]) == await world.rows(1)


@pytest.mark.requirement("CD-13")
async def test_the_board_of_work_items_is_rebuilt_and_compared_by_the_same_machinery(world: World) -> None:
    topic = "work-items.events.v1"
    events = [
        event(payload, tenant="north", sequence=number)
        for item in ("i1", "i2", "i3")
        for number, payload in enumerate(item_history(item), 1)
    ]
    await produce(world.kafka, topic, [*events, *events[:4]])
    await world.applied(1, len(events) + 4, BOARD)

    nowhere = await world.until_state(await world.order("store", BOARD), "refused")
    assert "no store holds its history" in nowhere["message"]
    ready = await world.until_state(await world.order("topic", BOARD), "ready")
    assert await world.rows(ready["version"], BOARD) == await world.rows(1, BOARD)
    order = await world.carry_out(lambda conn: commands.order_verify(conn, OPERATOR, BOARD, ready["version"]))
    assert (order["state"], order["verdict"]) == ("done", "equal"), (order["message"], order["report"])
    await world.owner.execute(f"update projections.{BOARD}__v{ready['version']} set status = 'x' where work_item_id = 'i2'")
    order = await world.carry_out(lambda conn: commands.order_verify(conn, OPERATOR, BOARD, ready["version"]))
    assert order["verdict"] == "different"
    switched = await world.carry_out(
        lambda conn: commands.order_switch(conn, OPERATOR, BOARD, ready["version"], "the test wants to see the other one")
    )
    assert switched["state"] == "done", switched["message"]
    assert {row["status"] for row in await world.look(f"select status from analytics.{BOARD}")} == {"closed", "x"}
    await forget_the_first(world, topic)
    refused = await world.until_state(await world.order("topic", BOARD), "refused")
    assert "no store can fill it in" in refused["message"]


@pytest.mark.requirement("CD-13")
async def test_a_rate_bounds_all_processes_together_and_a_table_nobody_knows_is_refused(world: World) -> None:
    await world.serve_first()
    await world.applied(1, await history(world, random.Random(2), 40, 60))
    ready = await world.until_state(await world.order("store", rate=20), "ready", seconds=60)
    seconds = (ready["finished_at"] - ready["started_at"]).total_seconds()
    assert seconds >= 1.5, "60 snapshots at 20 a second"
    unknown = await world.until_state(await world.order("topic", "case_plain_nothing"), "refused")
    assert "no mapping" in unknown["message"]
    assert await world.rows(ready["version"]) == await world.rows(1)
    assert ready["name"] == TABLE
