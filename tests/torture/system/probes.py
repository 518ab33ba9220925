"""How long until the system is live again: new items through both doors, until the analysts' table shows them all."""

import asyncio
import random
import time
from collections.abc import Iterable
from uuid import UUID, uuid4

import asyncpg

from tests.torture.system.lives import TENANTS, Door, Life
from tests.torture.system.load import Load
from tests.torture.system.world import World
from tests.waiting import until

# Enough of them to meet every partition and nearly every relay shard.
PROBES_PER_DOOR = 12
PATIENCE_SECONDS = 120.0
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def seconds_until_live(world: World, load: Load, since: float, doors: tuple[Door, ...] = ("http", "kafka")) -> float:
    """Seconds from `since` until items created now, through each door, are on the board.

    Everything on the way must work: API, broker, the group's owner of each partition, relay, projection.
    """
    chance = random.Random(time.monotonic_ns())
    lives = [Life(uuid4(), chance.choice(TENANTS), ("Create",), (door,)) for door in doors for _ in range(PROBES_PER_DOOR)]
    load.oracle.lives += lives
    await asyncio.gather(*(load.send(life, 0) for life in lives))
    wanted = [str(life.item) for life in lives]
    query = "select count(*) = cardinality($1::text[]) from projections.work_item_board__v1 where work_item_id = any ($1)"
    await asked(world, query, wanted, what="the probes on the board", deadline=PATIENCE_SECONDS)
    return time.monotonic() - since


async def asked(world: World, query: str, *arguments: object, what: str, deadline: float) -> None:
    """Wait until the database says yes; while it is away it says nothing."""

    async def answer() -> object:
        try:
            return await world.value(query, *arguments)
        except _AWAY:
            return None

    await until(answer, deadline, what)


async def quiet(world: World, load: Load, deadline: float = 180.0, parked: int = 0) -> float:
    """Seconds until nothing is under way any more: outbox empty, every Kafka command decided, the board caught up."""
    began = time.monotonic()
    ids, items = load.oracle.kafka_ids, [life.item for life in load.oracle.lives if life.done]
    decided = "select count(*) >= $2 from inbox where group_name = 'work-items' and event_id = any ($1::text[])"
    await asked(world, decided, ids, len(set(ids)), what="every Kafka command to be decided", deadline=deadline)
    await asked(world, "select not exists (select from outbox_events)", what="an empty outbox", deadline=deadline)
    await asked(world, _SHOWN, items, what="the board to show the last events", deadline=deadline)
    await asked(world, "select not exists (select from waiting_messages)", what="nothing waiting", deadline=deadline)
    return time.monotonic() - began


_SHOWN = """
    select not exists (
        select from work_items w
        left join projections.work_item_board__v1 b on b.tenant_id = w.tenant_id and b.work_item_id = w.id::text
        where w.id = any ($1::uuid[]) and coalesce(b.ce_sequence, 0) < w.event_sequence)
"""


def summary(seconds: Iterable[float]) -> dict[str, float]:
    """Median and slowest."""
    found = sorted(seconds)
    return {"median": round(found[len(found) // 2], 2), "slowest": round(found[-1], 2)} if found else {}


def items_of(lives: Iterable[Life]) -> list[UUID]:
    return [life.item for life in lives if life.done]
