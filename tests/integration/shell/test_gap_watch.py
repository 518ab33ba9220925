"""Which gaps may be closed, on rows of a real database: conditions (a) and (b), an upstream's 60 s, and who is reported.

The rows are put in place as the shell writes them; where the partition ends is an argument of `GapWatch`, so a test says
it. Each test holds all conditions but one, then gives the last one: dropping that condition from the rule fails the test.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

import asyncpg
import pytest

from processors.shell import AppliedSequences
from processors.shell.gaps import RELEASED, GapWatch
from processors.shell.offsets import Owned, Partition
from tests.infrastructure.databases import ClonedDatabase
from tests.integration.outbox_relay.rows import OutboxRow, insert

GROUP, TOPIC, OURS, UPSTREAM = "projections.work_item_board.v1", "work-items.events.v1", "casestream", "crm"
PART = Partition(TOPIC, 0)


class Watched:
    """A `GapWatch` of one partition, the rows that it looks at, and where the partition ends."""

    def __init__(self, owner: asyncpg.Connection, worker: asyncpg.Pool) -> None:
        self.owner, self._worker = owner, worker
        self.own = Owned(epoch=1, position=5, began_at=5)
        self.end, self.asked = 10, 0
        self._watch = GapWatch(GROUP, OURS, AppliedSequences(), self._ends)

    async def _ends(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        self.asked += 1
        return dict.fromkeys(partitions, self.end)

    async def wait(self, item: str = "i1", sequence: int = 4, source: str = OURS, seconds: float = 0) -> None:
        """A message that waits for its predecessor since so many seconds."""
        await self.owner.execute(
            """insert into waiting_messages (group_name, topic, partition, "offset", tenant_id, source, aggregate, sequence,
                                             waiting_for, headers, timestamp, since)
               values ($1, $2, 0, (select count(*) from waiting_messages), 'acme', $3, $4, $5, 1, '', 0,
                       cs_now() - make_interval(secs => $6))""",
            GROUP, TOPIC, source, f"acme|work_item|{item}", sequence, seconds,
        )  # fmt: skip

    async def unsent(self, item: str = "i1", sequence: int = 1) -> None:
        """An event of the item that the relay has not sent."""
        await insert(self.owner, [OutboxRow(item, sequence)])

    async def closable(self) -> list[tuple[str, str]]:
        """Items whose gap may be closed now, each with the reason."""
        found = await self._watch.closable(self._worker, {PART: self.own})
        return [(gap.aggregate.aggregate.rpartition("|")[2], reason) for gap, reason in found]

    async def reported(self) -> list[str]:
        """Items with an open incident."""
        found = await self.owner.fetch("select object_id from incidents where kind = 'sequence-gap' and state = 'open'")
        return sorted(row["object_id"].rpartition("|")[2] for row in found)


@pytest.fixture
async def watched(database: ClonedDatabase) -> AsyncIterator[Watched]:
    owner = await asyncpg.connect(database.url("superuser"))
    async with asyncpg.create_pool(database.url("worker"), min_size=1, max_size=2) as worker:
        yield Watched(owner, worker)
    await owner.close()


@pytest.mark.hole("first-sight-is-a-gap")
async def test_a_group_that_began_at_the_beginning_takes_no_first_sight_for_a_baseline(watched: Watched) -> None:
    await watched.wait()
    watched.own = Owned(epoch=1, position=100, began_at=0)
    assert await watched.closable() == []
    watched.own.began_at = 1
    assert await watched.closable() == [("i1", "first-sight")]


@pytest.mark.hole("first-sight-is-a-gap")
async def test_a_row_in_the_outbox_holds_the_gap_and_the_end_is_asked_for_after_it_left(watched: Watched) -> None:
    """(a), then (b): an end asked for while the row was still unsent would lie before the row's own record."""
    await watched.wait()
    await watched.unsent()
    await watched.unsent("another")
    watched.own.position = watched.end
    assert await watched.closable() == []
    assert watched.asked == 0
    await watched.owner.execute("delete from outbox_events where aggregate_id = 'i1'")
    # Meanwhile the relay has sent it: the end has moved, and the group has not read so far.
    watched.end += 1
    assert await watched.closable() == []
    watched.own.position = watched.end
    assert await watched.closable() == [("i1", "first-sight")]


@pytest.mark.hole("first-sight-is-a-gap")
async def test_the_partition_is_read_to_the_end_that_was_asked_for_once(watched: Watched) -> None:
    await watched.wait()
    watched.own.position = 9
    assert await watched.closable() == []
    # A busy partition grows for ever: the end of that time is enough, otherwise the gap would never close.
    watched.end = 1000
    assert await watched.closable() == []
    watched.own.position = 10
    assert await watched.closable() == [("i1", "first-sight")]
    assert watched.asked == 1


@pytest.mark.hole("first-sight-is-a-gap")
async def test_a_new_row_in_the_outbox_makes_the_end_be_asked_for_again(watched: Watched) -> None:
    await watched.wait()
    watched.own.position = 9
    assert await watched.closable() == []
    await watched.unsent()
    watched.own.position = 10
    assert await watched.closable() == []
    await watched.owner.execute("delete from outbox_events")
    watched.end = 11
    assert await watched.closable() == []
    assert watched.asked == 2


@pytest.mark.hole("first-sight-is-a-gap")
async def test_an_upstreams_number_may_come_for_60_seconds(watched: Watched) -> None:
    """Its outbox is not ours to look into, and its end says nothing. Ours, as old, is held by (b)."""
    watched.own.position = 0
    await watched.wait("young", source=UPSTREAM, seconds=50)
    await watched.wait("old", source=UPSTREAM, seconds=61)
    await watched.wait("ours", seconds=61)
    assert await watched.closable() == [("old", "first-sight")]


@pytest.mark.hole("gap-waits")
async def test_a_gap_behind_an_applied_number_is_never_closed_by_itself_but_reported_after_60_seconds(watched: Watched) -> None:
    await watched.owner.execute(
        "insert into applied_sequences (tenant_id, group_name, source, topic, aggregate, sequence) values "
        "('acme', $1, 'casestream', $2, 'acme|work_item|i1', 2), ('acme', $1, 'casestream', $2, 'acme|work_item|i2', 3)",
        GROUP, TOPIC,
    )  # fmt: skip
    watched.own.position = 1000
    await watched.wait("i1", 4, seconds=50)
    assert await watched.closable() == []
    assert await watched.reported() == []
    await watched.owner.execute("update waiting_messages set since = since - interval '11 s'")
    assert await watched.closable() == []
    assert await watched.closable() == []
    assert await watched.reported() == ["i1"]
    # Control: of i2 number 3 is applied, so nothing is missing before its 4.
    await watched.wait("i2", 4)
    assert await watched.closable() == [("i2", RELEASED)]
