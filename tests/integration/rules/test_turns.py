"""Turns of ASSIGN_TO when transactions meet: circles are locked in one order, whatever the runs of a transaction do when."""

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.integration.rules.house import TASK, House, action, event
from tests.waiting import until

TURNS = {"assignmentType": "ROUND_ROBIN", "userIds": ["an", "bo"]}
BLOCKED = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


def only(kind: str) -> list[dict[str, Any]]:
    return [{"fieldName": "kind", "operator": "EQUALS", "value": kind, "valueType": "STRING"}]


async def circles(house: House) -> list[str]:
    """The circles in the order in which they are locked; made by a first turn of each."""
    await house.rule(action("ASSIGN_TO", TURNS), name="A", conditions=only("a"))
    await house.rule(TASK, action("ASSIGN_TO", TURNS), name="B", conditions=only("b"))
    await house.meet(event("first", "1", kind="a"), event("second", "2", kind="b"))
    return [row["name"] for row in await house.world.look("select name from assignment_circles order by name")]


@pytest.mark.requirement("RU-11", "trap-35")
@pytest.mark.hole("turns-in-a-circle")
async def test_a_batch_holds_no_later_circle_while_it_waits_for_an_earlier_one(house: House) -> None:
    first, second = await circles(house)
    other, watching = [await asyncpg.connect(house.world.database.url("superuser")) for _ in range(2)]
    try:
        holding = other.transaction()
        await holding.start()
        await other.execute("select from assignment_circles where name = $1 for update", first)
        # The second event of the entity is the batch's second wave: its circle comes first in the order.
        meeting = asyncio.create_task(house.meet(event("e1", kind="b"), event("e2", kind="a")))
        await until(lambda: watching.fetch(BLOCKED), what="the batch to wait for the first circle")
        await other.execute("select from assignment_circles where name = $1 for update nowait", second)
        await holding.rollback()
        await meeting
    finally:
        await other.close()
        await watching.close()
    assert len(await house.sent("AssignTo")) == 4


@pytest.mark.requirement("RU-11", "trap-35")
async def test_batches_with_circles_in_opposite_order_all_end(house: House) -> None:
    await circles(house)
    await asyncio.gather(
        *(
            house.meet(event(f"{number}-1", str(number), kind=one), event(f"{number}-2", str(number), kind=other))
            for number, (one, other) in enumerate([("a", "b"), ("b", "a")] * 4, 10)
        )
    )
    assert len(await house.sent("AssignTo")) == 2 + 16
