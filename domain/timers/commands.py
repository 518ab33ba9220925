"""Arm, disarm and fire timers, in the caller's transaction.

Locks: timers come last. Whoever arms or disarms has its owner's rows already; whoever fires holds timers first, and its
handlers lock no owner.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from domain.timers.timer import Fired, Handler, Timer
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("timers.sql"))


async def arm(conn: Connection, timers: Sequence[Timer]) -> set[str]:
    """Arm each, or move it; the keys that changed. Of two with one key in a call the later entry counts."""
    newest: dict[tuple[str, str], Timer] = {}
    for timer in sorted(timers, key=lambda timer: timer.entry):
        newest[timer.tenant_id, timer.key] = timer
    if not newest:
        return set()
    rows = list(newest.values())
    changed = await queries.arm_timers(
        conn,
        tenant_ids=[timer.tenant_id for timer in rows],
        keys=[timer.key for timer in rows],
        kinds=[timer.kind for timer in rows],
        dues=[timer.due_at.astimezone(UTC) for timer in rows],
        commands=[orjson.dumps(timer.command).decode() for timer in rows],
        entries=[timer.entry for timer in rows],
        subject_ids=[timer.subject_id for timer in rows],
    )
    return {row["timer_key"] for row in changed}


def armed_row(timer: Timer) -> dict[str, Any]:
    """A timer as `record_steps` arms it."""
    return {
        "timer_key": timer.key,
        "kind": timer.kind,
        "due_at": timer.due_at.astimezone(UTC),
        "command": timer.command,
        "entry": timer.entry,
    }


async def disarm(conn: Connection, keys: Mapping[tuple[str, str], int | None]) -> set[str]:
    """Armed ones of these (tenant, key) will not fire; the keys of those that were armed.

    A number spares what a later entry, or this one, has armed: the past may be read again. None spares nothing.
    """
    pairs = sorted(keys)
    if not pairs:
        return set()
    rows = await queries.disarm_timers(
        conn,
        tenant_ids=[tenant for tenant, _ in pairs],
        keys=[key for _, key in pairs],
        entries=[keys[pair] for pair in pairs],
    )
    return {row["timer_key"] for row in rows}


async def find_armed(conn: Connection, tenant_id: str, key: str) -> Timer | None:
    """The timer of this key as it is armed now, without a lock."""
    row = await queries.find_armed_timer(conn, tenant_id=tenant_id, key=key)
    return None if row is None else _timer_of(row)


async def hold_armed(conn: Connection, tenant_id: str, key: str) -> Timer | None:
    """The armed timer of this key, locked; None when there is none, or another holds it: whoever fires waits for nobody."""
    row = await queries.hold_armed_timer(conn, tenant_id=tenant_id, key=key)
    return None if row is None else _timer_of(row)


async def find_standing(conn: Connection, tenant_id: str, keys: Iterable[str], grace: timedelta) -> set[str]:
    """Of these timers those that are armed, or fired no longer ago than `grace`."""
    rows = await queries.find_standing_timers(conn, tenant_id=tenant_id, keys=sorted(keys), grace=grace)
    return {row["timer_key"] for row in rows}


async def find_tenants(conn: Connection) -> list[str]:
    """Tenants with due timers, as cs_scan."""
    found: list[str] = await queries.find_tenants_with_due_timers(conn)
    return found


async def fire(conn: Connection, handlers: Mapping[str, Handler], tenant_id: str, most: int) -> list[tuple[str, Fired]]:
    """Fire up to `most` due timers of the tenant, the longest due first; the kind of each and what became of it.

    What a handler says nothing about counts as fired.
    """
    rows = await queries.take_due_timers(conn, tenant_id=tenant_id, kinds=sorted(handlers), most=most)
    if not rows:
        return []
    by_kind: defaultdict[str, list[Timer]] = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(_timer_of(row))
    ended: list[tuple[str, Fired]] = []
    for kind in sorted(by_kind):
        said = {fired.key: fired for fired in await handlers[kind](conn, by_kind[kind], rows[0]["now"])}
        became = [said.get(timer.key, Fired(timer.key)) for timer in by_kind[kind]]
        # Before the next kind is handled, since it may move what this one has armed again.
        await _end(conn, tenant_id, became)
        ended += [(kind, fired) for fired in became]
    return ended


async def postpone(conn: Connection, timer: Timer, now: datetime, seconds: float) -> None:
    """Look at a due timer again later: its handler cannot do it now."""
    await _end(conn, timer.tenant_id, [Fired(timer.key, next_due=now + timedelta(seconds=seconds))])


async def _end(conn: Connection, tenant_id: str, fired: Sequence[Fired]) -> None:
    await queries.end_timers(
        conn,
        tenant_id=tenant_id,
        keys=[one.key for one in fired],
        states=["outdated" if one.outdated else "fired" for one in fired],
        next_dues=[one.next_due for one in fired],
        commands=[None if one.command is None else orjson.dumps(one.command).decode() for one in fired],
    )


def _timer_of(row: Any) -> Timer:
    return Timer(
        tenant_id=row["tenant_id"],
        key=row["timer_key"],
        kind=row["kind"],
        due_at=row["due_at"],
        command=orjson.loads(row["command"]),
        entry=row["entry"],
        subject_id=row["subject_id"],
    )
