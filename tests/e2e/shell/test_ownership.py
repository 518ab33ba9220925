"""Who owns a partition, and what a former owner can still do: nothing. Members are real processes, killed and frozen."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from processors.shell.assignment import Assignment
from tests.e2e.shell.conformance import SUBJECTS, item_id
from tests.e2e.shell.deliveries import mixed
from tests.e2e.shell.harness import create_group_topics, environ_for, execute, member, produce, rows, settings_for
from tests.e2e.shell.processes import MemberProcess, Starter, processes
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.promises import PROCESS_SECONDS
from tests.waiting import until

# Unnumbered, so that nothing but the shell's positions keeps a record from being skipped.
SUBJECT = SUBJECTS["work-items"]


class Group:
    """Members of the subject's group on two partitions, and what they have done."""

    def __init__(self, database: ClonedDatabase, kafka: FreshKafka, members: Starter) -> None:
        self.database, self.kafka, self.members = database, kafka, members
        self.sent: dict[str, int] = {}

    async def send(self, keys: list[str], length: int = 3) -> None:
        """New keys with their whole history."""
        await produce(self.kafka, SUBJECT.topic, mixed([SUBJECT.history(key, length) for key in keys], random.Random(1)))
        self.sent |= dict.fromkeys(keys, length)

    async def all_applied(self) -> bool:
        """Every message sent so far took effect once, in order, and nothing else did."""
        found = await SUBJECT.read(self.database)
        return found == {item_id(key): (length, length) for key, length in self.sent.items()}

    async def settle(self, deadline: float = 60.0) -> float:
        """Waits for `all_applied`; the seconds that it took."""
        started = time.monotonic()
        try:
            await until(self.all_applied, deadline, "everything to be applied once")
        except AssertionError as error:
            logs = "\n".join(one.log()[-1500:] for one in self.members.started)
            raise AssertionError(f"{error}\n{await SUBJECT.read(self.database)}\n{logs}") from error
        return time.monotonic() - started

    async def owners(self) -> dict[int, str]:
        """Partition of the subject's topic -> instance."""
        query = "select partition, owner from consumer_offsets where topic = $1"
        return {row["partition"]: row["owner"] for row in await rows(self.database, query, SUBJECT.topic)}

    async def shared_by(self, *instances: str) -> None:
        """Waits until each of these owns something and nobody else does."""

        async def shared() -> bool:
            query = "select distinct owner from consumer_offsets"
            return {row["owner"] for row in await rows(self.database, query)} == set(instances)

        await until(shared, what=f"partitions to be shared by {instances}")


@pytest.fixture
async def group(database: ClonedDatabase, fresh_kafka: FreshKafka) -> AsyncIterator[Group]:
    await SUBJECT.prepare(database)
    await create_group_topics(fresh_kafka, SUBJECT.make(), 4)
    async with processes(environ_for(database, fresh_kafka), SUBJECT.group) as members:
        yield Group(database, fresh_kafka, members)


@pytest.mark.hole("lost-fence-reowns")
async def test_a_late_callback_cannot_starve_the_true_owner_nor_cost_it_a_record(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    """Somebody raises the epoch of one partition while a batch of several is under way."""
    await SUBJECT.prepare(database)
    await create_group_topics(fresh_kafka, SUBJECT.make(), 4)
    async with AsyncExitStack() as stack:
        members = await stack.enter_async_context(processes({}, SUBJECT.group))
        group = Group(database, fresh_kafka, members)
        await stack.enter_async_context(
            member(settings_for(database, fresh_kafka, CASESTREAM_CONSUMER__BATCH_MAX_RECORDS="50"), SUBJECT.make())
        )
        await group.send(["first"])
        await group.settle()
        for number in range(8):
            late = asyncio.create_task(
                execute(database, "update consumer_offsets set epoch = epoch + 1 where partition = $1", number % 4)
            )
            await group.send([f"k{number}-{key}" for key in range(12)])
            await late
        await group.settle()


async def test_control_without_going_back_such_a_batch_is_lost(
    database: ClonedDatabase, fresh_kafka: FreshKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above would see if the other partitions of the batch were not read again."""
    monkeypatch.setattr(Assignment, "rewind", lambda self: None)
    await SUBJECT.prepare(database)
    await create_group_topics(fresh_kafka, SUBJECT.make(), 4)
    async with processes({}, SUBJECT.group) as members, member(settings_for(database, fresh_kafka), SUBJECT.make()):
        group = Group(database, fresh_kafka, members)
        await group.send(["first"])
        await group.settle()
        # In one transaction with a lock that keeps the member's batch in its fence until the epoch is raised.
        await _raise_epoch_under_a_batch(group)
        await _positions_reach_the_end(group)
        assert not await group.all_applied()


async def test_a_lost_fence_of_one_partition_costs_the_others_nothing(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    await SUBJECT.prepare(database)
    await create_group_topics(fresh_kafka, SUBJECT.make(), 4)
    async with processes({}, SUBJECT.group) as members, member(settings_for(database, fresh_kafka), SUBJECT.make()):
        group = Group(database, fresh_kafka, members)
        await group.send(["first"])
        await group.settle()
        await _raise_epoch_under_a_batch(group)
        await group.settle()


async def _raise_epoch_under_a_batch(group: Group) -> None:
    conn = await asyncpg.connect(group.database.url("superuser"))
    try:
        async with conn.transaction():
            await conn.execute(
                "update consumer_offsets set epoch = epoch + 1 where partition = 1 and topic = $1", SUBJECT.topic
            )
            await group.send([f"k{key}" for key in range(40)], 1)
            await until(lambda: _waits_for_a_lock(group.database), what="the member's fence to wait")
    finally:
        await conn.close()


async def _waits_for_a_lock(database: ClonedDatabase) -> bool:
    query = (
        "select from pg_stat_activity where datname = current_database() and usename = 'cs_worker' and wait_event_type = 'Lock'"
    )
    return bool(await rows(database, query))


async def _positions_reach_the_end(group: Group) -> None:
    """One record more per partition makes every position move past what was lost."""

    async def moved() -> bool:
        await produce(group.kafka, SUBJECT.topic, SUBJECT.history("first", 1))
        found = await rows(group.database, "select sum(next) as total from consumer_offsets where topic = $1", SUBJECT.topic)
        return bool(found[0]["total"] >= 45)

    await until(moved, what="the positions to pass")


async def test_live_again_after_a_kill(group: Group) -> None:
    """P5: from SIGKILL of one member to its partitions' first message applied by the other one."""
    one, _ = group.members.start("one"), group.members.start("two")
    await group.shared_by("one", "two")
    await group.send([f"before{key}" for key in range(20)])
    await group.settle()
    one.send(signal.SIGKILL)
    await group.send([f"after{key}" for key in range(20)])
    seconds = await group.settle()
    print(f"live again {seconds:.1f} s after SIGKILL")
    assert seconds <= PROCESS_SECONDS


@pytest.mark.hole("takeover-timeouts")
async def test_a_member_frozen_inside_its_transaction_holds_nobody_up(group: Group) -> None:
    frozen = group.members.start("frozen", "shell.after-fence:2:stop")
    await group.send(["first"])
    await group.settle()
    await group.send([f"k{key}" for key in range(20)])
    await frozen.stopped()
    group.members.start("heir")
    seconds = await group.settle()
    print(f"taken over {seconds:.1f} s after the start of the heir, from a member frozen in its transaction")
    assert seconds <= PROCESS_SECONDS
    frozen.send(signal.SIGCONT)
    await group.send([f"late{key}" for key in range(20)])
    await group.settle()
    assert await _both_live_or_gone(frozen)


@pytest.mark.requirement("SP-6")
async def test_a_zombie_writes_nothing(group: Group) -> None:
    """Frozen with a batch in its hands, past its session; another member does the batch; the zombie wakes and tries."""
    zombie = group.members.start("zombie", "shell.before-begin:2:stop")
    await group.send(["first"])
    await group.settle()
    await group.send([f"k{key}" for key in range(20)])
    await zombie.stopped()
    group.members.start("heir")
    seconds = await group.settle()
    print(f"taken over {seconds:.1f} s after the start of the heir")
    assert set((await group.owners()).values()) == {"heir"}
    zombie.send(signal.SIGCONT)
    await group.send([f"late{key}" for key in range(20)])
    await group.settle()
    assert await _both_live_or_gone(zombie)


async def _more_applied(group: Group, step: int) -> bool:
    return len(await SUBJECT.read(group.database)) > 3 * step


async def _both_live_or_gone(one: MemberProcess) -> bool:
    return one.state() in ("S", "R", "D", "X")


@pytest.mark.requirement("SP-6")
async def test_members_that_come_and_go_lose_and_repeat_nothing(group: Group) -> None:
    """A rebalance storm: every second another member joins, leaves in order, or is killed."""
    dice = random.Random(7)
    names = ["one", "two", "three"]
    running: dict[str, MemberProcess] = {"one": group.members.start("one")}
    for step in range(10):
        await group.send([f"s{step}-{key}" for key in range(10)])
        name = dice.choice(names)
        if name in running:
            running.pop(name).send(dice.choice([signal.SIGKILL, signal.SIGTERM]))
        else:
            running[name] = group.members.start(name)
        if running:
            await until(lambda: _more_applied(group, step), what="some progress")  # noqa: B023 - awaited at once
    if not running:
        group.members.start("one")
    await group.settle()


@pytest.mark.requirement("SP-6")
async def test_a_rolling_restart_redelivers_nothing(group: Group) -> None:
    """SIGTERM: the batch is finished, the next process under the same name goes on where it ended."""
    await group.send([f"k{key}" for key in range(30)], 10)
    for number in range(1, 4):
        one = group.members.start("only")
        await until(lambda: _taken(group, number), what="the partitions to be taken")  # noqa: B023 - awaited at once
        one.send(signal.SIGTERM)
        assert await one.ended() == 0, one.log()[-2000:]
    group.members.start("only")
    await group.settle()


async def _taken(group: Group, epoch: int) -> bool:
    found = await rows(group.database, "select max(epoch) as epoch from consumer_offsets")
    return (found[0]["epoch"] or 0) >= epoch


def test_every_hole_of_the_shell_has_its_test() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for hole in ("gap-waits", "first-sight-is-a-gap", "lost-fence-reowns", "takeover-timeouts", "lock-order"):
        assert f'hole("{hole}")' in text
