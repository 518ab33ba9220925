"""What follows outcomes, in the same transaction: no step waits for Kafka or for another look of a worker.

0. lock the owners' rows, before any effect that somebody who holds them might wait for;
1. tell: an event for each outcome, an incident for each failure that a person can mend;
2. fold: each owner hears of its outcomes, and promotes, skips or cancels what waits behind them;
3. perform: internal kinds of these owners that are due now; their outcomes are the next round's;
4. when no more come: lock the order keys of all that ended or falls due, once and in order; hand each line to its next, and
   give what falls due its positions. An internal kind that thereby stands at the head of its line begins another round.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.effects.decisions import ERASED, fingerprint_of
from domain.effects.effect import ClaimedEffect, Outcome
from domain.effects.store import (
    OrderKey,
    OwnerKey,
    claimed_of,
    encode,
    key_arrays,
    lock_keys,
    owner_arrays,
    queries,
    tenants_and_ids,
)
from domain.effects.telling import tell
from domain.effects.wiring import Wiring
from domain.outbox import Outbox
from runtime.sql import Connection

# Most effects of one key that fall due at once; the rest follows.
MOST_PER_KEY = 1_000


@dataclass(frozen=True, slots=True)
class Ended:
    """An effect and how it ended."""

    effect: ClaimedEffect
    outcome: Outcome


async def advance(
    conn: Connection, outbox: Outbox, wiring: Wiring, owners: Iterable[OwnerKey], ended: Sequence[Ended] = ()
) -> list[Outcome]:
    """Everything that follows for these owners and from these outcomes; the outcomes of internal kinds on the way."""
    concerned = {*owners, *(_owner_of(one) for one in ended)}
    if not concerned:
        return []
    await lock_owners(conn, wiring, concerned)
    now: datetime = await queries.read_clock(conn)
    lines: set[OrderKey] = set()
    performed: list[Outcome] = []
    # Ends because an owner has finitely many effects, and what an internal kind plans for other owners is not concerned.
    while True:
        lines |= {line for one in ended if (line := _line_of(one)) is not None}
        told = [(one.effect, one.outcome) for one in ended if one.effect.owner_kind not in wiring.discreet]
        await tell(conn, outbox, told, now)
        await _fold(conn, wiring, [one.outcome for one in ended], now)
        if not lines and all(kind in wiring.discreet for _, kind, _ in concerned):
            # They stand in no line and perform nothing without network here.
            return performed
        due = await _find_due(conn, wiring, concerned)
        ended = await _perform(conn, wiring, concerned, now) if due.internal else []
        performed += [one.outcome for one in ended]
        if not ended and not await _fall_due(conn, wiring, concerned, lines, due):
            return performed


@dataclass(frozen=True, slots=True)
class _Due:
    """Of the concerned owners: whether something can be performed, whether something falls due in no line, and which lines."""

    internal: bool
    free: bool
    lines: frozenset[OrderKey]


async def _find_due(conn: Connection, wiring: Wiring, owners: set[OwnerKey]) -> _Due:
    rows = await queries.find_due(conn, **owner_arrays(owners), internals=sorted(wiring.internals))
    falling = [row for row in rows if row["state"] == "delayed"]
    return _Due(
        internal=any(row["internal"] for row in rows),
        free=any(row["order_key"] is None for row in falling),
        lines=frozenset((row["tenant_id"], row["order_key"]) for row in falling if row["order_key"] is not None),
    )


async def lock_owners(conn: Connection, wiring: Wiring, owners: set[OwnerKey]) -> None:
    """Lock the owners' rows, where their kind says how; whoever changes their effects does it first."""
    for kind in sorted({kind for _, kind, _ in owners} & set(wiring.locks)):
        await wiring.locks[kind](conn, sorted((tenant, id_) for tenant, owner_kind, id_ in owners if owner_kind == kind))


async def _fold(conn: Connection, wiring: Wiring, outcomes: Sequence[Outcome], now: datetime) -> None:
    by_kind: defaultdict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.owner_kind].append(outcome)
    for kind in sorted(by_kind):
        if kind in wiring.owners:
            await wiring.owners[kind](conn, by_kind[kind], now)


async def _perform(conn: Connection, wiring: Wiring, owners: set[OwnerKey], now: datetime) -> list[Ended]:
    rows = await queries.take_internal(conn, **owner_arrays(owners), kinds=sorted(wiring.internals))
    by_kind: defaultdict[str, list[ClaimedEffect]] = defaultdict(list)
    ended: list[Ended] = []
    # Locked by id, performed as planned: of two changes of an entity in one batch, the later one's command comes last.
    for row in sorted(rows, key=lambda row: int(row["seq"])):
        effect = claimed_of(row, row["request"])
        if effect.request is None:
            ended.append(Ended(effect, effect.outcome("failed", ERASED)))
        else:
            by_kind[effect.kind].append(effect)
    for kind in sorted(by_kind):
        known = {(effect.tenant_id, effect.id): effect for effect in by_kind[kind]}
        outcomes = await wiring.internals[kind](conn, by_kind[kind], now)
        ended += [Ended(known[outcome.tenant_id, outcome.effect_id], outcome) for outcome in outcomes]
    await _finish(conn, ended)
    return ended


async def _finish(conn: Connection, ended: Sequence[Ended]) -> None:
    if ended:
        await queries.finish_internal(
            conn,
            **tenants_and_ids((one.outcome.tenant_id, one.outcome.effect_id) for one in ended),
            results=[one.outcome.result for one in ended],
            codes=[one.outcome.code for one in ended],
            fingerprints=[
                fingerprint_of(one.effect.kind, one.effect.endpoint, one.outcome.code) if one.outcome.result == "failed" else ""
                for one in ended
            ],
            details=[encode(one.outcome.detail) for one in ended],
        )


async def _fall_due(conn: Connection, wiring: Wiring, owners: set[OwnerKey], lines: set[OrderKey], due: _Due) -> bool:
    """Step 4; whether an internal kind can be performed because of it."""
    if due.free:
        await queries.fall_due_without_key(conn, **owner_arrays(owners))
    keys = lines | due.lines
    if not keys:
        return False
    await lock_keys(conn, dict.fromkeys(keys, 0))
    heads = await queries.hand_over(conn, **key_arrays(keys))
    if due.lines:
        heads += await queries.fall_due_in_line(conn, **key_arrays(due.lines), most=MOST_PER_KEY)
    lines.clear()
    return any(row["kind"] in wiring.internals for row in heads)


def _owner_of(one: Ended) -> OwnerKey:
    return (one.effect.tenant_id, one.effect.owner_kind, one.effect.owner_id)


def _line_of(one: Ended) -> OrderKey | None:
    return None if one.effect.order_key is None else (one.effect.tenant_id, one.effect.order_key)
