"""Records that are read again although they were set aside when they first came: nothing has come of them yet.

A replayed record is known by the partition's handled ranges. Those also cover what was parked, or waits for a number; such a
record is no repetition until its row is redriven or released, or until it is applied on the way. Of anything that is set
aside for the first time during a replay the row says so, and a later redrive repeats nothing either.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from processors.shell.messages import Decoded, Message, Position
from processors.shell.offsets import queries
from processors.shell.set_aside import position_columns
from runtime.sql import Connection


async def find_unfinished(conn: Connection, group: str, items: Sequence[Decoded]) -> frozenset[Position]:
    """Of the replayed records, those that are set aside since they first came. Asks nothing where nothing is replayed."""
    replayed = [item.record.position for item in items if item.record.replayed]
    if not replayed:
        return frozenset()
    rows = await queries.find_set_aside(conn, group_name=group, **position_columns(replayed))
    return frozenset(Position(row["topic"], row["partition"], row["offset"]) for row in rows)


def as_first_read(items: Sequence[Decoded], unfinished: frozenset[Position]) -> Sequence[Decoded]:
    """The items, those at these positions no longer as repetitions."""
    if not unfinished:
        return items
    return [
        replace(item, record=replace(item.record, replayed=False)) if item.record.position in unfinished else item
        for item in items
    ]


async def note_done(conn: Connection, group: str, unfinished: frozenset[Position], applied: Iterable[Message]) -> None:
    """Those of them that were applied now, beside their rows."""
    if done := [message.record.position for message in applied if message.record.position in unfinished]:
        await queries.note_done(conn, group_name=group, **position_columns(done))
