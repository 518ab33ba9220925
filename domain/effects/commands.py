"""What owners and workers do with effects, inside the caller's transaction: batch first, never begin, commit or retry.

Locks, so that two transactions never wait for each other: first the owner's rows (the caller's, or `Wiring.locks`), then order
keys, all at once and in order, then effects. So plan once for the whole batch, and cancel once. The transaction that records
outcomes holds leased effects first; nobody who holds an owner or a key ever waits for a leased one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.effects.advancing import Ended, advance
from domain.effects.decisions import Again, Finished, Verdict, fingerprint_of
from domain.effects.effect import ClaimedEffect, NewEffect, Outcome
from domain.effects.store import (
    OrderKey,
    OwnerKey,
    claimed_of,
    encode,
    insert,
    key_arrays,
    lock_keys,
    owner_arrays,
    queries,
    tenants_and_ids,
)
from domain.effects.wiring import Wiring
from domain.outbox import Outbox
from runtime.sql import Connection


@dataclass(frozen=True, slots=True)
class Judged:
    """A call that its worker has judged."""

    effect: ClaimedEffect
    verdict: Verdict


async def plan(conn: Connection, effects: Sequence[NewEffect]) -> set[UUID]:
    """Write new effects in order; the ids that were not there yet. One that is there stays as it is, however it ended.

    What is due at once draws its position here. Internal kinds among them are performed by `advance` in the same
    transaction, or, where the caller leaves it out, by the next worker that looks.
    """
    if not effects:
        return set()
    wanted = Counter(key for effect in effects if (key := _line_of(effect)) is not None)
    before = await lock_keys(conn, wanted)
    new = await insert(conn, _placed(effects, before))
    if wanted and len(new) < len({effect.id for effect in effects}):
        # One that was there already may have been counted as the head of its line.
        await queries.hand_over(conn, **key_arrays(wanted))
    return new


async def promote(conn: Connection, wanted: Iterable[tuple[str, UUID, float]]) -> set[UUID]:
    """Let waiting effects (tenant, id, delay in seconds) become due; the ids that were waiting."""
    rows = list(wanted)
    if not rows:
        return set()
    found = await queries.promote_effects(
        conn, **tenants_and_ids((tenant, id_) for tenant, id_, _ in rows), waits=[delay for _, _, delay in rows]
    )
    return {row["effect_id"] for row in found}


async def skip(conn: Connection, ids: Iterable[tuple[str, UUID]], code: str = "skipped") -> list[Outcome]:
    """Waiting effects (tenant, id) will never be due; their outcomes, which the caller folds itself."""
    named = tenants_and_ids(ids)
    if not named["ids"]:
        return []
    rows = await queries.skip_effects(conn, **named, code=code)
    return [_outcome_of(row, "skipped", code) for row in rows]


async def cancel(conn: Connection, owners: Iterable[OwnerKey], code: str = "canceled") -> list[Outcome]:
    """Cancel what nobody has claimed of these owners (tenant, kind, id); their outcomes, which the caller folds itself.

    Calls in flight go on, and their outcomes are recorded as ever.
    """
    arrays = owner_arrays(set(owners))
    if not arrays["owner_ids"]:
        return []
    lines = {(row["tenant_id"], row["order_key"]) for row in await queries.list_keys_of_owners(conn, **arrays)}
    await lock_keys(conn, dict.fromkeys(lines, 0))
    named = key_arrays(lines)
    rows = await queries.cancel_effects(
        conn, **arrays, key_tenant_ids=named["tenant_ids"], order_keys=named["order_keys"], code=code
    )
    if lines:
        await queries.hand_over(conn, **named)
    return [_outcome_of(row, "canceled", code) for row in rows]


async def cancel_unclaimed(conn: Connection, ids: Iterable[tuple[str, UUID]], code: str = "canceled") -> list[Outcome]:
    """Cancel those of these effects (tenant, id) without an order key that nobody has claimed or is about to claim.

    Their outcomes, which the caller folds itself; it holds the owners.
    """
    named = tenants_and_ids(sorted(set(ids)))
    if not named["ids"]:
        return []
    return [_outcome_of(row, "canceled", code) for row in await queries.cancel_unclaimed(conn, **named, code=code)]


async def take_next(
    conn: Connection, outcomes: Sequence[Outcome], kinds: Sequence[str], most: int, *, owner: str, life: float
) -> list[ClaimedEffect]:
    """Lease what these outcomes' owners planned and what is due at once, in the transaction that records them."""
    owners = {(outcome.tenant_id, outcome.owner_kind, outcome.owner_id) for outcome in outcomes}
    if not owners or not kinds or most <= 0:
        return []
    rows = await queries.take_next(conn, **owner_arrays(owners), kinds=list(kinds), most=most, owner=owner, life=life)
    return [claimed_of(row, row["request"]) for row in sorted(rows, key=lambda row: int(row["seq"]))]


async def find_effect(conn: Connection, tenant_id: str, effect_id: UUID) -> ClaimedEffect | None:
    """An effect as it stands, without its request and without a lock; `attempt` 0: nobody has called yet."""
    row = await queries.read_effect(conn, tenant_id=tenant_id, effect_id=effect_id)
    return None if row is None else claimed_of(row, None)


async def record(conn: Connection, outbox: Outbox, wiring: Wiring, judged: Sequence[Judged]) -> list[Outcome]:
    """Write what calls came to, if their leases are still the caller's, and everything that follows from it.

    Outcomes, their events, the owners' folds, internal kinds and the next of each order key are one transaction. The
    outcomes that counted; of a call whose lease was lost nothing is written. Judged effects belong to one kind of owner.
    """
    await _postpone(conn, [(one.effect, one.verdict) for one in judged if isinstance(one.verdict, Again)])
    finished = [(one.effect, one.verdict) for one in judged if isinstance(one.verdict, Finished)]
    ended = await _finish(conn, finished)
    await advance(conn, outbox, wiring, [], ended)
    return [one.outcome for one in ended]


async def _postpone(conn: Connection, again: Sequence[tuple[ClaimedEffect, Again]]) -> None:
    if again:
        await queries.postpone_effects(
            conn,
            **tenants_and_ids((effect.tenant_id, effect.id) for effect, _ in again),
            terms=[effect.term for effect, _ in again],
            waits=[verdict.after_seconds for _, verdict in again],
            codes=[verdict.code for _, verdict in again],
        )


async def _finish(conn: Connection, finished: Sequence[tuple[ClaimedEffect, Finished]]) -> list[Ended]:
    if not finished:
        return []
    rows = await queries.finish_effects(
        conn,
        **tenants_and_ids((effect.tenant_id, effect.id) for effect, _ in finished),
        terms=[effect.term for effect, _ in finished],
        results=["succeeded" if verdict.succeeded else "failed" for _, verdict in finished],
        codes=[verdict.code for _, verdict in finished],
        fingerprints=[
            "" if verdict.succeeded else fingerprint_of(effect.kind, effect.endpoint, verdict.code)
            for effect, verdict in finished
        ],
        details=[encode(verdict.detail) for _, verdict in finished],
        failed=[not verdict.succeeded for _, verdict in finished],
    )
    counted = {(row["tenant_id"], row["effect_id"]) for row in rows}
    return [
        Ended(effect, effect.outcome("succeeded" if verdict.succeeded else "failed", verdict.code, verdict.detail))
        for effect, verdict in finished
        if (effect.tenant_id, effect.id) in counted
    ]


def _line_of(effect: NewEffect) -> OrderKey | None:
    """The line in which an effect stands from the beginning, if any."""
    if effect.order_key is None or effect.waiting or effect.delay_seconds > 0:
        return None
    return (effect.tenant_id, effect.order_key)


def _placed(effects: Sequence[NewEffect], before: Mapping[OrderKey, int]) -> list[tuple[NewEffect, str, int | None]]:
    """Each with its state and position among these effects; the first of a line is due if nobody stands in it already."""
    last, taken, placed = dict(before), set[OrderKey](), list[tuple[NewEffect, str, int | None]]()
    for effect in effects:
        line = _line_of(effect)
        if line is not None:
            last[line] += 1
            placed.append((effect, "queued" if line in taken else "due", last[line]))
            taken.add(line)
        elif effect.waiting:
            placed.append((effect, "waiting", None))
        else:
            placed.append((effect, "delayed" if effect.delay_seconds > 0 else "due", None))
    return placed


def _outcome_of(row: Mapping[str, object], result: str, code: str) -> Outcome:
    return Outcome(
        row["effect_id"],  # type: ignore[arg-type]
        str(row["tenant_id"]),
        str(row["owner_kind"]),
        str(row["owner_id"]),
        row["action_index"],  # type: ignore[arg-type]
        result,  # type: ignore[arg-type]
        code,
        occurrence=str(row["occurrence"]),
    )
