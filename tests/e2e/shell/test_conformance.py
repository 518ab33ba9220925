"""What every processor must stand, whatever it does: the same suite for each group of the registry.

Another group joins with one entry in `conformance.SUBJECTS`; until then `test_every_group_is_here` fails.
"""

import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from re import findall
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.shell import Message, Preparing, Processor
from processors.shell.messages import Decoded
from processors.shell.plan import Plan
from runtime.sql import Connection
from schemas.envelope import CloudEvent, to_headers
from schemas.errors import TransientError
from schemas.registry import GROUPS, dlt_topic
from tests.e2e.shell import case_snapshots
from tests.e2e.shell.conformance import SUBJECTS, Applied, Subject, item_id
from tests.e2e.shell.deliveries import Raw, mixed, redelivered
from tests.e2e.shell.harness import create_group_topics, environ_for, execute, member, produce, rows, settings_for
from tests.e2e.shell.processes import processes
from tests.infrastructure.databases import ClonedDatabase
from tests.infrastructure.topics import FreshKafka
from tests.waiting import until

CANARY = "canary-7f3a"
WAITING = [one for one in SUBJECTS.values() if one.numbered and not one.latest_wins]
NUMBERED = pytest.mark.parametrize("bench", WAITING, ids=str, indirect=True)
LATEST = pytest.mark.parametrize("bench", [one for one in SUBJECTS.values() if one.latest_wins], ids=str, indirect=True)
SHELL = Path(__file__).parents[3] / "processors" / "shell"


@dataclass
class Bench:
    """A subject on a database and a broker of its own test."""

    subject: Subject
    database: ClonedDatabase
    kafka: FreshKafka

    async def setup(self, partitions: int = 2) -> None:
        await self.subject.prepare(self.database)
        await create_group_topics(self.kafka, self.subject.make(), partitions)

    def settings(self, **overrides: str) -> Any:
        return settings_for(self.database, self.kafka, **overrides)

    def environ(self, **overrides: str) -> dict[str, str]:
        return environ_for(self.database, self.kafka, **overrides)

    async def produce(self, messages: list[Any]) -> None:
        await produce(self.kafka, self.subject.topic, messages)

    async def becomes(self, expected: dict[str, Applied], deadline: float = 60.0) -> None:
        """Waits until exactly this was applied and every record was read; fails with what there is instead."""
        expected = self.subject.expected(expected)

        async def as_expected() -> bool:
            return await self.subject.read(self.database) == expected

        try:
            await until(as_expected, deadline)
            await until(self.all_read, deadline, "every record to be read")
        except AssertionError:
            assert await self.subject.read(self.database) == expected
            raise
        assert await self.subject.read(self.database) == expected

    async def all_read(self) -> bool:
        """The group's positions are the ends of its topic."""
        client = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers)
        await client.start()
        try:
            topic = self.kafka.topic(self.subject.topic)
            found = await rows(
                self.database,
                "select partition, next from consumer_offsets where group_name = $1 and topic = $2",
                self.subject.group,
                self.subject.topic,
            )
            ends = await client.end_offsets([TopicPartition(topic, row["partition"]) for row in found])
            return bool(found) and all(ends[TopicPartition(topic, row["partition"])] == row["next"] for row in found)
        finally:
            await client.stop()

    async def parked(self) -> list[dict[str, Any]]:
        return await rows(
            self.database,
            'select * from parked_messages where group_name = $1 order by partition, "offset"',
            self.subject.group,
        )


@pytest.fixture(params=SUBJECTS.values(), ids=str)
def bench(request: pytest.FixtureRequest, database: ClonedDatabase, fresh_kafka: FreshKafka) -> Bench:
    return Bench(request.param, database, fresh_kafka)


def test_every_group_is_here() -> None:
    assert set(SUBJECTS) - {case_snapshots.GROUP.name} == set(GROUPS)


@pytest.mark.requirement("SP-4", "SP-5", "SP-6")
@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
async def test_redelivery_and_reordering_across_keys_change_nothing(bench: Bench, batch_size: int) -> None:
    await bench.setup()
    dice = random.Random(batch_size)
    keys = [f"k{number}" for number in range(6)]
    await bench.produce(mixed([redelivered(bench.subject.history(key, 6), dice) for key in keys], dice))
    async with member(bench.settings(CASESTREAM_CONSUMER__BATCH_MAX_RECORDS=str(batch_size)), bench.subject.make()):
        await bench.becomes({item_id(key): (6, 6) for key in keys})
    assert not await bench.parked()
    assert not await rows(bench.database, "select from waiting_messages")


@pytest.mark.hole("gap-waits")
@NUMBERED
@pytest.mark.parametrize("batch_size", [1, 1000])
async def test_a_missing_number_is_waited_for_and_releases_the_rest(bench: Bench, batch_size: int) -> None:
    await bench.setup()
    history = bench.subject.history("late", 6)
    others = bench.subject.history("other", 4)
    await bench.produce([history[0], history[2], *others[:2], history[4], history[2], history[5], *others[2:], history[3]])
    async with member(bench.settings(CASESTREAM_CONSUMER__BATCH_MAX_RECORDS=str(batch_size)), bench.subject.make()):
        await bench.becomes({item_id("late"): (1, 1), item_id("other"): (4, 4)})
        waiting = await rows(bench.database, "select sequence, waiting_for from waiting_messages order by sequence")
        assert [row["sequence"] for row in waiting] == [3, 4, 5, 6]
        assert not await bench.parked(), "a gap is no poison"
        assert not await rows(bench.database, "select from parked_keys")
        await bench.produce([history[1]])
        await bench.becomes({item_id("late"): (6, 6), item_id("other"): (4, 4)})
    assert not await rows(bench.database, "select from waiting_messages")


@pytest.mark.requirement("CD-13", "trap-85")
@LATEST
@pytest.mark.parametrize("batch_size", [1, 1000])
async def test_where_the_latest_wins_a_later_number_is_applied_and_an_earlier_one_dropped(
    bench: Bench, batch_size: int
) -> None:
    await bench.setup()
    history = bench.subject.history("late", 6)
    others = bench.subject.history("other", 4)
    await bench.produce([history[2], history[4], *others[2:], history[0], history[3], *others[:2], history[1]])
    async with member(bench.settings(CASESTREAM_CONSUMER__BATCH_MAX_RECORDS=str(batch_size)), bench.subject.make()):
        await bench.becomes({item_id("late"): (5, 5), item_id("other"): (4, 4)})
        assert not await rows(bench.database, "select from waiting_messages")
        assert not await bench.parked()
        await bench.produce([history[5], history[4]])
        await bench.becomes({item_id("late"): (6, 6), item_id("other"): (4, 4)})


class Prepares:
    """A group's processor whose `prepare` is away at first, and cannot do with one message."""

    def __init__(self, processor: Processor[Any, Any], database: ClonedDatabase, bad: str) -> None:
        self._processor, self._database, self._bad = processor, database, bad
        self.prepared: set[str] = set()
        self.unprepared: set[str] = set()
        self.calls = self.open = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)

    async def prepare(self, conn: Connection, messages: Sequence[Message]) -> None:
        self.calls += 1
        activity = "select from pg_stat_activity where usename = 'cs_worker' and state = 'idle in transaction'"
        self.open += len(await rows(self._database, f"{activity} and datname = current_database()"))
        if self.calls == 1:
            raise TransientError("asking a service failed; it is away")
        if any(message.event.id == self._bad for message in messages):
            raise ValueError("no answer for this one, ever")
        self.prepared |= {message.event.id for message in messages}
        if isinstance(self._processor, Preparing):
            await self._processor.prepare(conn, messages)

    async def load(self, conn: Connection, messages: Sequence[Message]) -> dict[Any, Any]:
        self.unprepared |= {message.event.id for message in messages} - self.prepared
        return await self._processor.load(conn, messages)


@pytest.mark.requirement("SP-9")
async def test_what_a_processor_waits_for_is_there_before_its_transaction(bench: Bench) -> None:
    await bench.setup(partitions=1)
    histories = {key: bench.subject.history(key, 4) for key in ("one", "two", "bad")}
    await bench.produce([event for four in zip(*histories.values(), strict=True) for event in four])
    preparing = Prepares(bench.subject.make(), bench.database, histories["bad"][1].id)
    async with member(bench.settings(), preparing):
        await bench.becomes({item_id("one"): (4, 4), item_id("two"): (4, 4), item_id("bad"): (1, 1)})
    assert preparing.calls > 1
    assert (preparing.unprepared, preparing.open) == (set(), 0)
    assert [row["reason"] for row in await bench.parked()][1:] == ["follows", "follows"]


def page_sent_again(bench: Bench) -> list[CloudEvent]:
    """What a broker that died in the middle of a page leaves: a hole where a batch was refused, then the page again."""
    history = bench.subject.history("k", 6)
    return [*history[:2], *history[4:], *history[2:]]


@pytest.mark.requirement("SP-5")
@pytest.mark.hole("gap-waits")
@NUMBERED
async def test_a_page_that_was_sent_with_a_hole_and_then_again_loses_nothing(bench: Bench) -> None:
    await bench.setup(1)
    await bench.produce(page_sent_again(bench))
    async with member(bench.settings(CASESTREAM_CONSUMER__BATCH_MAX_RECORDS="3"), bench.subject.make()):
        await bench.becomes({item_id("k"): (6, 6)})


@NUMBERED
async def test_control_without_waiting_for_gaps_such_a_page_loses_what_was_in_the_hole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The highest number seen as the only memory, as consumers usually have it: 3 and 4 come after 6, and look old."""

    def only_the_highest(plan: Plan, item: Decoded, sequence: int) -> None:
        aggregate = item.aggregate
        assert aggregate is not None
        if sequence > plan._known.last.get(aggregate, 0) and plan._apply(item):
            plan._advance(aggregate, sequence)

    monkeypatch.setattr(Plan, "_take_numbered", only_the_highest)
    await bench.setup(1)
    await bench.produce(page_sent_again(bench))
    async with member(bench.settings(CASESTREAM_CONSUMER__BATCH_MAX_RECORDS="3"), bench.subject.make()):
        await bench.becomes({item_id("k"): (4, 6)})


@pytest.mark.hole("first-sight-is-a-gap")
@NUMBERED
async def test_a_first_number_above_one_waits_where_the_group_began_at_the_beginning(bench: Bench) -> None:
    await bench.setup()
    history = bench.subject.history("k", 3)
    await bench.produce([history[1], history[2], *bench.subject.history("marker", 1)])
    async with member(bench.settings(), bench.subject.make()):
        await bench.becomes({item_id("marker"): (1, 1)})
        await bench.produce([history[0]])
        await bench.becomes({item_id("marker"): (1, 1), item_id("k"): (3, 3)})


def poisons(good: CloudEvent) -> dict[str, tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]:
    """One record of each kind that cannot be applied, on the key of `good`."""
    key, value, headers = (good.partitionkey or "").encode(), good.data or b"", to_headers(good)

    def with_header(name: str, text: bytes) -> list[tuple[str, bytes | None]]:
        return [(header, text if header == name else old) for header, old in headers]

    return {
        "broken JSON": (key, b'{"' + CANARY.encode(), headers),
        "broken UTF-8": (key, value.replace(b'":"', b'":"\xff', 1), headers),
        "NUL": (key, value.replace(b'":"', b'":"\\u0000', 1), headers),
        "unknown type": (key, value, with_header("ce_type", b"NeverHeardOf")),
        "unknown version": (key, value.replace(b'"schemaVersion":1', b'"schemaVersion":99'), headers),
        "no CloudEvent": (key, CANARY.encode(), []),
        "above the limit": (key, b'{"x":"' + b"x" * 1_100_000 + b'"}', headers),
        "a null header": (key, b"{", [*headers, ("x-none", None)]),
        "no data": (key, None, headers),
    }


POISONS = list(poisons(SUBJECTS["work-items"].history("x", 1)[0]))


@pytest.mark.requirement("SP-9")
async def test_poison_is_parked_with_its_key_and_other_keys_flow(bench: Bench) -> None:
    await bench.setup()
    first, later = {}, {}
    for position, kind in enumerate(POISONS):
        history = bench.subject.history(f"p{position}", 4)
        first[kind] = [history[0], poisons(history[1])[kind]]
        later[kind] = history[1:]
    good = bench.subject.history("good", 5)
    keyless = (None, b"{" + CANARY.encode(), to_headers(replace(bench.subject.history("alone", 1)[0], partitionkey=None)))
    over_long: Raw = (random.Random(1).randbytes(3000), b"{", [])
    await bench.produce([*chain(*first.values()), keyless, over_long, *good[:3], *chain(*later.values()), *good[3:]])

    one = {item_id(f"p{position}"): (1, 1) for position in range(len(POISONS))}
    async with member(bench.settings(), bench.subject.make()):
        await bench.becomes({**one, item_id("good"): (5, 5)})
        parked = await bench.parked()
        by_reason = {row["reason"] for row in parked}
        assert by_reason >= {"follows"}
        assert len(parked) == len(POISONS) * 4 + 2, "each poison and its three followers, and two alone"
        assert len(await rows(bench.database, "select from parked_keys")) == len(POISONS)
        assert all(CANARY not in row["error"] for row in parked)
        await _copies_are_exact(bench, parked)
        incidents = await rows(bench.database, "select * from incidents where kind = 'parked-messages'")
        assert incidents
        assert CANARY not in str(incidents)

        # The operator discards each poisoned head: where its headers were readable, the message that it broke counts as
        # seen and its good repetition changes nothing; what follows flows in order.
        await execute(bench.database, "update parked_messages set ordered = 'discard' where reason <> 'follows'")
        after = {
            item_id(f"p{position}"): (4, 4) if kind == "no CloudEvent" else (3, 4) for position, kind in enumerate(POISONS)
        }
        await bench.becomes({**after, item_id("good"): (5, 5)})
        await until(lambda: _empty(bench, "parked_messages"), what="the parked rows to go")
        await until(lambda: _empty(bench, "parked_keys"), what="the markers to go")
        assert await _empty(bench, "waiting_messages")


async def _empty(bench: Bench, table: str) -> bool:
    return not await rows(bench.database, f"select from {table}")


async def _copies_are_exact(bench: Bench, parked: list[dict[str, Any]]) -> None:
    """Every parked record has a copy: same partition, same bytes, its headers and text headers `dlt-*`."""
    topic = bench.kafka.topic(dlt_topic(bench.subject.topic, bench.subject.group))
    client = AIOKafkaConsumer(topic, bootstrap_servers=bench.kafka.bootstrap_servers, auto_offset_reset="earliest")
    await client.start()
    try:
        copies: dict[tuple[int, int], Any] = {}

        async def all_there() -> bool:
            for batch in (await client.getmany(timeout_ms=500)).values():
                for record in batch:
                    headers = dict(record.headers)
                    copies[int(headers["dlt-original-partition"]), int(headers["dlt-original-offset"])] = record
            return len(copies) == len(parked)

        await until(all_there, what="the copies")
        for row in parked:
            copy = copies[row["partition"], row["offset"]]
            assert (copy.partition, copy.value) == (row["partition"], row["value"])
            assert copy.key == row["key"] or copy.key[:1025] == row["key"]
            headers = dict(copy.headers)
            assert headers["dlt-reason"].decode() == row["reason"]
            assert headers["dlt-consumer-group"].decode() == bench.subject.group
            assert all(CANARY not in headers[name].decode() for name in headers if name.startswith("dlt-"))
    finally:
        await client.stop()


@pytest.mark.requirement("SP-9")
async def test_redrive_keeps_the_order_of_the_key(bench: Bench) -> None:
    """Poison that is mended: here by a decode limit that was too small."""
    await bench.setup(partitions=1)
    history = bench.subject.history("k", 6)
    data = history[2].data or b""
    big = replace(history[2], data=data[:-1] + b"," + b'"padding":"' + b"x" * 2000 + b'"}')
    await bench.produce([*history[:2], big, *history[3:]])
    async with member(bench.settings(CASESTREAM_DECODE_LIMIT_BYTES="1024"), bench.subject.make()):
        await bench.becomes({item_id("k"): (2, 2)})
        assert [row["reason"] for row in await bench.parked()] == ["undecodable", "follows", "follows", "follows"]
        await execute(bench.database, "update parked_messages set ordered = 'redrive' where reason <> 'follows'")
        await until(lambda: _attempts(bench, 2), what="a redrive that fails again")
        assert [row["ordered"] for row in await bench.parked()] == [None] * 4
    async with member(bench.settings(), bench.subject.make()):
        await execute(bench.database, "update parked_messages set ordered = 'redrive' where reason <> 'follows'")
        await bench.becomes({item_id("k"): (6, 6)})
        await until(lambda: _empty(bench, "parked_messages"), what="the parked rows to go")
        await until(lambda: _empty(bench, "parked_keys"), what="the marker to go")


async def _attempts(bench: Bench, count: int) -> bool:
    return any(row["attempts"] == count for row in await bench.parked())


def failpoints() -> list[str]:
    """Every numbered step that the shell names, in the order of the code."""
    names = [name for path in sorted(SHELL.glob("*.py")) for name in findall(r'reach\("(shell\.[a-z-]+)"\)', path.read_text())]
    assert len(names) >= 12
    return sorted(set(names), key=names.index)


@pytest.mark.requirement("SP-4", "SP-6")
async def test_a_crash_at_each_step_loses_and_repeats_nothing(bench: Bench) -> None:
    await bench.setup()
    await crash_at_each_step(bench, 1)


async def crash_at_each_step(bench: Bench, round_number: int, applied: dict[str, Applied] | None = None) -> dict[str, Applied]:
    """One chain: a member dies at the first step, the next one at the second, and so on; the last one finishes.

    What was `applied` in earlier rounds stands as it is; the answer is that and this round's.
    """
    dice = random.Random(round_number)
    keys = [f"r{round_number}-k{number}" for number in range(10)]
    histories = [bench.subject.history(key, 20) for key in keys]
    bad = f"r{round_number}-bad"
    good, broken = bench.subject.history(bad, 2)
    await bench.produce([good, poisons(broken)["broken JSON"]])
    await bench.produce(mixed([redelivered(history, dice, 2) for history in histories], dice))
    expected = {**(applied or {}), **{item_id(key): (20, 20) for key in keys}, item_id(bad): (1, 1)}
    environ = bench.environ(CASESTREAM_CONSUMER__BATCH_MAX_RECORDS="5")
    async with processes(environ, bench.subject.group) as members:
        for name in failpoints():
            one = members.start("only", f"{name}:{1 if name.endswith('take') else 2}")
            assert await one.ended() == -signal.SIGKILL, one.log()[-3000:]
        last = members.start("only")
        await bench.becomes(expected)
        last.send(signal.SIGTERM)
        assert await last.ended() == 0
    assert len(await bench.parked()) == round_number
    return expected


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing confidential is ever printed."""
    yield
    assert CANARY not in caplog.text
