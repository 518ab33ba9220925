"""Parked messages end to end: seen, redriven and discarded from the command line; a storm of poison stops the group."""

from datetime import datetime

import pytest

from processors.shell import Decided, Message
from projections.work_item_board import BoardRow, WorkItemBoard
from tests.e2e.operations.commands import casestream
from tests.e2e.operations.items import GROUP, TABLE, TOPIC, create_topics, events_of
from tests.e2e.shell.harness import environ_for, member, produce, rows, settings_for
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

CANARY = "canary-4711"


class FragileBoard(WorkItemBoard):
    """A board with a bug in it, for chosen numbers, until it is mended."""

    def __init__(self, *numbers: int) -> None:
        super().__init__(1)
        self.numbers = set(numbers)

    def decide(self, state: BoardRow | None, message: Message, now: datetime) -> Decided[BoardRow, None]:
        if message.event.sequence in self.numbers:
            raise ZeroDivisionError(CANARY)
        return super().decide(state, message, now)


async def numbers(database: ClonedDatabase) -> dict[str, int]:
    return {row["work_item_id"]: row["ce_sequence"] for row in await rows(database, f"select * from {TABLE}")}


async def parked_offsets(database: ClonedDatabase) -> list[int]:
    return [row["offset"] for row in await rows(database, 'select "offset" from parked_messages order by 1')]


async def _parked(database: ClonedDatabase, count: int) -> bool:
    return len(await parked_offsets(database)) == count


@pytest.mark.hole("redrive-by-owner")
@pytest.mark.requirement("SP-4")
async def test_after_the_mend_a_redrive_applies_the_key_in_order(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    await create_topics(fresh_kafka, partitions=1)
    environ = environ_for(database, fresh_kafka)
    board = FragileBoard(3)
    await produce(fresh_kafka, TOPIC, [*events_of("i1", 5), *events_of("i2", 2)])

    async with member(settings_for(database, fresh_kafka), board):
        await until(lambda: _parked(database, 3), what="the poisoned message and its followers")
        assert await numbers(database) == {"i1": 2, "i2": 2}

        cause, followers = await casestream(environ, "dlt", "list", "--group", GROUP)
        assert (cause["messages"], cause["keys"], followers["reason"], followers["messages"]) == (1, 1, "follows", 2)
        assert CANARY not in str(cause)
        shown = await casestream(environ, "dlt", "show", "--group", GROUP, "--position", f"{TOPIC}:0:2")
        assert shown["headers"]["ce_tenant"] == "acme"
        assert "acme|work_item" not in shown["key_hash"]

        # Not mended yet: it fails again, and says so.
        redrive = ("dlt", "redrive", "--group", GROUP, "--fingerprint", cause["fingerprint"], "--follow")
        await casestream(environ, *redrive, expect=4)
        assert await parked_offsets(database) == [2, 3, 4]

        board.numbers.clear()
        ordered = await casestream(environ, *redrive)
        assert (ordered["messages"], ordered["keys"]) == (1, 1)

    assert await numbers(database) == {"i1": 5, "i2": 2}
    assert await parked_offsets(database) == []
    assert await rows(database, "select from parked_keys") == []
    (row,) = await rows(database, f"select status from {TABLE} where work_item_id = 'i1'")
    assert row["status"] == "waiting_internal"


async def test_a_discarded_message_counts_as_seen_and_its_followers_are_applied(
    database: ClonedDatabase, fresh_kafka: FreshKafka
) -> None:
    await create_topics(fresh_kafka, partitions=1)
    environ = environ_for(database, fresh_kafka)
    await produce(fresh_kafka, TOPIC, events_of("i1", 4))
    discard = ("dlt", "discard", "--group", GROUP, "--position", f"{TOPIC}:0:1")

    async with member(settings_for(database, fresh_kafka), FragileBoard(2)):
        await until(lambda: _parked(database, 3), what="the poisoned message and its followers")
        await casestream(environ, *discard, expect=2)
        await casestream(environ, *discard, "--reason", "a test's broken event", "--dry-run")
        assert await rows(database, "select from parked_messages where ordered is not null") == []

        await casestream(environ, *discard, "--reason", "a test's broken event", "--follow")

    assert await numbers(database) == {"i1": 4}
    assert await parked_offsets(database) == []
    assert await rows(database, "select from audit_log where action = 'parked.discard' and reason = 'a test''s broken event'")


async def test_a_payload_is_printed_only_with_a_reason(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    await create_topics(fresh_kafka, partitions=1)
    environ = environ_for(database, fresh_kafka)
    await produce(fresh_kafka, TOPIC, [(b"acme|work_item|i1", CANARY.encode(), [])])
    show = ("dlt", "show", "--group", GROUP, "--position", f"{TOPIC}:0:0")

    async with member(settings_for(database, fresh_kafka), WorkItemBoard(1)):
        await until(lambda: _parked(database, 1), what="the record that is no event")

    assert CANARY not in str(await casestream(environ, *show))
    assert "--reason" in await casestream(environ, *show, "--payload", expect=3)
    read = await casestream(environ, *show, "--payload", "--reason", "a customer called")
    assert read["payload"] == CANARY
    assert await rows(database, "select from audit_log where action = 'parked.read-payload'")


async def test_a_move_back_keeps_the_cause_of_what_is_parked(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    await create_topics(fresh_kafka, partitions=1)
    environ = environ_for(database, fresh_kafka)
    await produce(fresh_kafka, TOPIC, events_of("i1", 3))
    before = 'select "offset", reason, fingerprint from parked_messages order by 1'

    async with member(settings_for(database, fresh_kafka), FragileBoard(2)):
        await until(lambda: _parked(database, 2), what="the parked messages")
        parked = await rows(database, before)
        move = ("offsets", "move", "--group", GROUP, "--topic", TOPIC, "--to-earliest", "--execute")
        await casestream(environ, *move)
        await until(lambda: rows(database, "select from consumer_offsets where next = 3 and epoch = 3"), what="the second pass")

    # What was applied before its key was parked is read again and only follows; a redrive drops it as seen.
    first, *others = await rows(database, before)
    assert (first["offset"], first["reason"]) == (0, "follows")
    assert others == parked


@pytest.mark.requirement("SP-4", "SP-9")
async def test_a_storm_of_poison_stops_the_group_until_it_is_resumed(database: ClonedDatabase, fresh_kafka: FreshKafka) -> None:
    await create_topics(fresh_kafka, partitions=1)
    environ = environ_for(database, fresh_kafka)
    settings = settings_for(database, fresh_kafka, CASESTREAM_PARKING__STOP_COUNT="5")
    await produce(fresh_kafka, TOPIC, [(f"acme|work_item|p{n}".encode(), b"{", []) for n in range(20)])

    async with member(settings, WorkItemBoard(1)):
        await until(lambda: rows(database, "select from consumer_groups where state = 'stopped'"), what="the group's stop")
        (incident,) = await rows(database, "select cure from incidents where kind = 'group-stopped'")
        assert f"casestream group resume {GROUP}" in incident["cure"]
        await produce(fresh_kafka, TOPIC, events_of("i1", 2))
        listed = await until(lambda: _lagging(environ), what="the lag of the stopped group")
        assert (listed["state"], listed["lag"], listed["parked"]) == ("stopped", 2, 20)
        assert await numbers(database) == {}

        await casestream(environ, "group", "resume", GROUP)

        await until(lambda: _applied(database), what="the good events")
    assert await rows(database, "select from incidents where kind = 'group-stopped' and state = 'open'") == []


async def _lagging(environ: dict[str, str]) -> dict[str, object] | None:
    found = await casestream(environ, "group", "list")
    return next((row for row in found if row["group_name"] == GROUP and row["lag"]), None)


async def _applied(database: ClonedDatabase) -> bool:
    return await numbers(database) == {"i1": 2}
