"""Positions and epochs: who owns a partition, where its next batch begins. PostgreSQL decides, Kafka mirrors.

The position is held in memory and never taken from a record: transactional producers leave holes in the offsets. A batch
commits only through `fence`; a former owner's fence finds no row of its epoch and fails with `LostFence`.

The fence also keeps the books of what was handled: the ranges of offsets that committed batches covered, for ever and
whatever the inbox forgets. A record that is read again after a move is known by them (docs/decisions/0022).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from runtime.sql import Connection, load_queries

queries = load_queries(__file__, "shell.sql")


class Partition(NamedTuple):
    topic: str
    number: int


@dataclass(slots=True)
class Owned:
    """A partition that we own: our epoch, where our last committed batch ended, where the group began.

    `handled`: what the group had handled when we took the partition. We read every offset once, so this need not grow with us.
    """

    epoch: int
    position: int
    began_at: int
    handled: tuple[range, ...] = ()

    def was_handled(self, offset: int) -> bool:
        """Whether a record that is fetched now was handled by an earlier pass over the partition."""
        return any(offset in passed for passed in self.handled)


class LostFence(Exception):
    """Somebody else raised the epoch of these partitions: roll back and drop their buffered records."""

    def __init__(self, partitions: Iterable[Partition]) -> None:
        self.partitions = sorted(partitions)
        super().__init__(", ".join(f"{topic}-{number}" for topic, number in self.partitions))


async def take(
    conn: Connection,
    group: str,
    owner: str,
    begins: Mapping[Partition, int],
    topic_ids: Mapping[str, UUID | None] | None = None,
) -> dict[Partition, Owned]:
    """Become the owner: raise the epochs. Waits 2 s for a former owner's locks, then raises (a transient error).

    `topic_ids`: the broker's; under another one than before, the offsets are those of a topic that was made anew.
    """
    known = topic_ids or {}
    await conn.execute("set local lock_timeout = '2s'")
    rows = await queries.take_partitions(
        conn,
        group_name=group,
        owner=owner,
        topics=[partition.topic for partition in begins],
        partitions=[partition.number for partition in begins],
        begins=list(begins.values()),
        topic_ids=[known.get(partition.topic) for partition in begins],
    )
    return {
        Partition(row["topic"], row["partition"]): Owned(
            row["epoch"], row["next"], row["began_at"], tuple(range(one.lower, one.upper) for one in row["handled"])
        )
        for row in rows
    }


async def fence(conn: Connection, group: str, owned: Mapping[Partition, Owned], nexts: Mapping[Partition, int]) -> None:
    """Advance the partitions of a batch, holding their rows until the end of the transaction. Raises LostFence."""
    partitions = sorted(nexts)
    rows = await queries.advance_offsets(
        conn,
        group_name=group,
        topics=[partition.topic for partition in partitions],
        partitions=[partition.number for partition in partitions],
        epochs=[owned[partition].epoch for partition in partitions],
        positions=[owned[partition].position for partition in partitions],
        nexts=[nexts[partition] for partition in partitions],
    )
    if len(rows) != len(partitions):
        raise LostFence(set(partitions) - {Partition(row["topic"], row["partition"]) for row in rows})
