"""Several writers on the same hot rows: two members of one group on two topics, and a writer as the HTTP door is one."""

import asyncio
import random
from contextlib import AsyncExitStack

import asyncpg
import pytest

from api.transactions import transaction
from domain.outbox import Outbox
from domain.work_items import commands
from processors.shell import GroupMember
from schemas.caller import Caller
from schemas.envelope import CloudEvent
from schemas.onboarding import InstanceStatusChanged
from schemas.work_items import ApplyAction
from tests.e2e.shell.conformance import SUBJECTS, TENANT, item_id, stable_id
from tests.e2e.shell.harness import at, create_group_topics, event, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

SUBJECT = SUBJECTS["work-items"]
ITEMS = [f"hot{number}" for number in range(12)]
ROUNDS = 30


@pytest.mark.hole("lock-order")
async def test_three_writers_on_hot_items_neither_deadlock_nor_lose_an_update(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    await SUBJECT.prepare(database)
    await create_group_topics(fresh_kafka, SUBJECT.make(), 1)
    settings = settings_for(database, fresh_kafka, CASESTREAM_CONSUMER__BATCH_MAX_RECORDS="20")
    async with AsyncExitStack() as stack:
        first: GroupMember = await stack.enter_async_context(member(settings, SUBJECT.make(), "one"))
        second = await stack.enter_async_context(member(settings, SUBJECT.make(), "two"))
        await until(lambda: first.ready and second.ready and _share(first, second), what="a topic for each member")
        await produce(fresh_kafka, SUBJECT.topic, [SUBJECT.history(key, 1)[0] for key in ITEMS])
        await until(lambda: _read(database, len(ITEMS)), what="the items")
        await asyncio.gather(
            produce(fresh_kafka, SUBJECT.topic, _actions(random.Random(1))),
            produce(fresh_kafka, "onboarding.events.v1", _instances(random.Random(2))),
            _by_hand(database, random.Random(3)),
        )
        await until(lambda: _read(database, (2 * ROUNDS + 1) * len(ITEMS)), 60, "every record to be read")
    # Each assignment goes to another person than the one before, so each one is a row of the history.
    found = await rows(database, "select history_length, version, event_sequence from work_items")
    history = await rows(database, "select work_item_id, count(*), max(position) from work_item_state_history group by 1")
    assert all(row["count"] == row["max"] for row in history)
    assert sum(row["max"] for row in history) == sum(row["history_length"] for row in found)
    numbers = await rows(database, "select aggregate_id, array_agg(sequence order by id) as sent from outbox_events group by 1")
    for row in numbers:
        sent = [number for number in row["sent"] if number is not None]
        assert sent == list(range(1, len(sent) + 1)), "one number per event, in the order of their commits"
    (statistics,) = await rows(database, "select deadlocks from pg_stat_database where datname = current_database()")
    assert statistics["deadlocks"] == 0
    assert not await rows(database, "select from parked_messages")


def _share(first: GroupMember, second: GroupMember) -> bool:
    return all(len(one._assignment.owned) == 1 for one in (first, second))


def _actions(dice: random.Random) -> list[CloudEvent]:
    sent: list[CloudEvent] = []
    for number in range(ROUNDS):
        for key in dice.sample(ITEMS, len(ITEMS)):
            action = ApplyAction(work_item_id=item_id(key), action="Assign", new_assignee_id=f"u{2 + number % 2}")
            sent.append(event(action, TENANT, None, id=stable_id("kafka", key, number), source="upstream"))
    return sent


def _instances(dice: random.Random) -> list[CloudEvent]:
    sent: list[CloudEvent] = []
    for number in range(1, ROUNDS + 1):
        for key in dice.sample(ITEMS, len(ITEMS)):
            told = InstanceStatusChanged(
                instance_id=f"i-{key}", work_item_id=item_id(key), status="running", changed_at=at(number)
            )
            name = f"{TENANT}|onboarding|i-{key}"
            sent.append(
                event(told, TENANT, number, id=stable_id("instance", key, number), partitionkey=name, subject=f"i-{key}")
            )
    return sent


async def _by_hand(database: ClonedDatabase, dice: random.Random) -> None:
    pool = await asyncpg.create_pool(database.url("api"), min_size=1, max_size=4)
    caller = Caller(tenant_id=TENANT, user_id="u1", roles=frozenset({"admin"}), source="CRM_UI", internal=False)

    async def act(number: int) -> None:
        for key in dice.sample(ITEMS, len(ITEMS)):
            async with transaction(pool, TENANT) as conn:
                order = ApplyAction(work_item_id=item_id(key), action="Assign", new_assignee_id=f"u{10 + number}")
                await commands.apply_action(conn, Outbox("casestream"), caller, order)

    try:
        await asyncio.gather(*(act(number) for number in range(4)))
    finally:
        await pool.close()


async def _read(database: ClonedDatabase, count: int) -> bool:
    found = await rows(database, "select coalesce(sum(next), 0) as total from consumer_offsets")
    return bool(found[0]["total"] == count)
