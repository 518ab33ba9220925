"""Moving a group and giving up a gap: what `casestream offsets` does. The running owner notices and follows.

    plan (pure) -> lock the positions -> unchanged since the plan? -> raise epochs, set next -> note skipped ranges -> audit

The owner's next fence (or its look once a second) finds the raised epoch, rolls back, and takes the partition anew.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.audit import append
from domain.operations.decisions import Move
from domain.operations.endings import close
from runtime.sql import Connection, load_queries
from schemas.errors import ConcurrencyConflict, NotFound
from schemas.registry import Place

queries = load_queries(__file__, "operations.sql")

# Troubles of a position that a move ends.
_ENDED_BY_MOVE = ("offset-out-of-range", "foreign-offset", "unreadable-batch")


async def list_positions(
    conn: Connection, group: str, topic: str | None = None, partition: int | None = None
) -> list[Mapping[str, Any]]:
    """Per partition: next, epoch, owner, began_at, parked, waiting."""
    return await queries.list_positions(conn, group_name=group, topic=topic, partition=partition)  # type: ignore[no-any-return]


async def move(
    conn: Connection,
    group: str,
    moves: Sequence[Move],
    *,
    actor: str,
    reason: str | None = None,
    below_inbox: str | None = None,
) -> int:
    """Move the partitions as planned; their number. Waits at most 3 s for the owner's running batch (a transient error).

    A position that advanced since the plan still moves to the same place: the plan's target is absolute. Only one that was
    moved back meanwhile by somebody else raises ConcurrencyConflict.
    """
    if not moves:
        return 0
    await conn.execute("set local lock_timeout = '3s'")
    places = _places([move.place for move in moves])
    now = {
        Place(row["topic"], row["partition"]): row["next"]
        for row in await queries.lock_positions(conn, group_name=group, **places)
    }
    for one in moves:
        if now.get(one.place, one.standing) < one.standing:
            raise ConcurrencyConflict(f"{one.place.topic}-{one.place.partition} at {one.at}", now.get(one.place))
    await queries.move_positions(conn, group_name=group, **places, nexts=[one.to for one in moves])
    await _keep_ranges(conn, group, moves, now, actor)
    await _audit(conn, group, moves, actor, reason, below_inbox)
    await close(
        conn,
        _ENDED_BY_MOVE,
        [f"{group}/{one.place.topic}-{one.place.partition}" for one in moves],
        actor=actor,
        resolution="the group was moved",
    )
    return len(moves)


async def _keep_ranges(conn: Connection, group: str, moves: Sequence[Move], now: Mapping[Place, int], actor: str) -> None:
    """What a move forward skips is remembered, until a move back over it takes the skip back."""
    forward = [(one.place, at, one.to) for one in moves if (at := now.get(one.place, one.standing)) < one.to]
    await queries.insert_skipped_ranges(
        conn,
        group_name=group,
        moved_by=actor,
        **_places([place for place, _, _ in forward]),
        froms=[at for _, at, _ in forward],
        tos=[to for _, _, to in forward],
    )
    await queries.delete_reread_ranges(
        conn, group_name=group, **_places([one.place for one in moves]), nexts=[one.to for one in moves]
    )


async def _audit(
    conn: Connection, group: str, moves: Sequence[Move], actor: str, reason: str | None, below_inbox: str | None
) -> None:
    detail = {
        "moves": [[one.place.topic, one.place.partition, one.at, one.to] for one in moves],
        "readAgain": sum(one.again for one in moves),
        "skipped": sum(one.skipped for one in moves),
        "belowInbox": below_inbox,
    }
    await append(
        conn,
        tenant_id="",
        actor=actor,
        action="offsets.move",
        object_type="group",
        object_id=group,
        reason=below_inbox or reason,
        detail=detail,
    )


async def find_gaps(conn: Connection, group: str, topic: str, aggregate: str) -> list[Mapping[str, Any]]:
    """Per tenant and source: what the aggregate waits for, the lowest waiting number, how many wait."""
    return await queries.find_gaps(conn, group_name=group, topic=topic, aggregate=aggregate)  # type: ignore[no-any-return]


async def skip_gap(conn: Connection, group: str, topic: str, aggregate: str, *, actor: str, reason: str | None = None) -> int:
    """Say that the numbers below the lowest waiting one will never come; how many gaps. Raises NotFound."""
    gaps = await find_gaps(conn, group, topic, aggregate)
    if not gaps:
        raise NotFound(f"skip the gap of {aggregate} on {topic} for group {group}: nothing of it waits")
    skipped: int = await queries.skip_gaps(conn, group_name=group, topic=topic, aggregate=aggregate)
    await append(
        conn,
        tenant_id="",
        actor=actor,
        action="offsets.skip-gap",
        object_type="aggregate",
        object_id=f"{group}/{topic}/{aggregate}",
        reason=reason,
        detail={"gaps": [[gap["tenant_id"], gap["source"], gap["waiting_for"], gap["lowest"]] for gap in gaps]},
    )
    return skipped


def _places(places: Sequence[Place]) -> dict[str, list[Any]]:
    return {"topics": [place.topic for place in places], "partitions": [place.partition for place in places]}
