"""What a person does with effects: list, show, retry one or all of a cause, cancel. In the caller's transaction.

Nothing here shows what an effect says. A retry is an order: the effect falls due at once, and the role `effects` does the rest;
so cs_scan may order it too, which sees every tenant's incidents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.audit import append
from domain.effects.advancing import Ended, advance, lock_owners
from domain.effects.store import claimed_of, key_arrays, lock_keys, tenants_and_ids
from domain.effects.store import queries as store
from domain.effects.wiring import Wiring
from domain.outbox import Outbox
from runtime.sql import Connection, load_queries
from schemas.errors import NotFound

queries = load_queries(Path(__file__).with_name("operating.sql"))

UNFINISHED = ("waiting", "delayed", "queued", "due", "leased")
STATES = (*UNFINISHED, "succeeded", "failed", "skipped", "canceled")
# Effects in one order of a retry of all.
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Ordered:
    """What became of one item of an order: `ordered`, or why not: `not-found`, `erased`, or the state it is in."""

    tenant_id: str
    effect_id: UUID
    said: str


async def list_effects(
    conn: Connection,
    *,
    states: Sequence[str] = STATES,
    tenant_id: str | None = None,
    fingerprint: str | None = None,
    owner_id: str | None = None,
    most: int = 50,
) -> list[dict[str, Any]]:
    """Newest first."""
    rows = await queries.list_effects(
        conn, states=list(states), tenant_id=tenant_id, fingerprint=fingerprint, owner_id=owner_id, most=most
    )
    return [dict(row) for row in rows]


async def read_clock(conn: Connection) -> datetime:
    """The database's time."""
    now: datetime = await store.read_clock(conn)
    return now


async def show_effect(conn: Connection, effect_id: UUID, tenant_id: str | None = None) -> dict[str, Any]:
    """One effect. Raises NotFound."""
    row = await queries.find_effect(conn, effect_id=effect_id, tenant_id=tenant_id)
    if row is None:
        raise NotFound(f"show effect {effect_id}: there is none; list those there are")
    return dict(row)


async def retry(
    conn: Connection, wanted: Sequence[tuple[str, UUID]], *, actor: str, reason: str | None = None
) -> list[Ordered]:
    """Order failed effects (tenant, id) once more, under the same ids; a result for each, and a row in the audit log."""
    if not wanted:
        return []
    rows = await queries.retry_effects(conn, **tenants_and_ids(sorted(set(wanted))))
    for row in rows:
        if row["ordered"]:
            await _audit(conn, row["tenant_id"], actor, "effect.retry", str(row["effect_id"]), reason)
    return [Ordered(row["tenant_id"], row["effect_id"], _said(row)) for row in rows]


async def retry_all(
    conn: Connection,
    tenant_id: str,
    fingerprint: str,
    *,
    actor: str,
    reason: str | None = None,
    before: datetime | None = None,
) -> list[Ordered]:
    """Order up to PAGE effects of one cause, failed before an instant (now), once more.

    Called again with the same instant until it orders none, it takes each once, also if some fail again meanwhile.
    """
    upto = before or await store.read_clock(conn)
    rows = await queries.list_failed(conn, fingerprint=fingerprint, tenant_id=tenant_id, before=upto, most=PAGE)
    return await retry(conn, [(row["tenant_id"], row["effect_id"]) for row in rows], actor=actor, reason=reason)


async def retry_failed(conn: Connection, incident: Mapping[str, Any], actor: str) -> str:
    """Retry handler of incidents of kind `effect-failed`: everything of that cause, as far as one order goes."""
    why = f"retry of incident {incident['incident_id']}"
    done = await retry_all(conn, incident["tenant_id"], incident["fingerprint"], actor=actor, reason=why)
    count = sum(one.said == "ordered" for one in done)
    if not done:
        return "nothing of this cause is left in the state failed"
    rest = "; there may be more, repeat it" if len(done) == PAGE else ""
    return f"ordered {count} effect(s) once more, {len(done) - count} could not be{rest}; the role effects makes the calls"


async def cancel_one(
    conn: Connection, outbox: Outbox, wiring: Wiring, tenant_id: str, effect_id: UUID, *, actor: str, reason: str
) -> Ordered:
    """Cancel an effect that nobody has claimed; its owner hears of it at once."""
    known = await queries.find_effect(conn, effect_id=effect_id, tenant_id=tenant_id)
    if known is None:
        return Ordered(tenant_id, effect_id, "not-found")
    await lock_owners(conn, wiring, {(tenant_id, known["owner_kind"], known["owner_id"])})
    lines = {(tenant_id, known["order_key"])} if known["order_key"] is not None else set()
    await lock_keys(conn, dict.fromkeys(lines, 0))
    if not await queries.cancel_named(conn, **tenants_and_ids([(tenant_id, effect_id)])):
        known = await queries.find_effect(conn, effect_id=effect_id, tenant_id=tenant_id)
        return Ordered(tenant_id, effect_id, str(known["state"]))
    if lines:
        await store.hand_over(conn, **key_arrays(lines))
    await _audit(conn, tenant_id, actor, "effect.cancel", str(effect_id), reason)
    effect = claimed_of(await store.read_effect(conn, tenant_id=tenant_id, effect_id=effect_id), None)
    await advance(conn, outbox, wiring, [], [Ended(effect, effect.outcome("canceled", "canceled"))])
    return Ordered(tenant_id, effect_id, "ordered")


async def _audit(conn: Connection, tenant_id: str, actor: str, action: str, effect_id: str, reason: str | None) -> None:
    await append(
        conn, tenant_id=tenant_id, actor=actor, action=action, object_type="effect", object_id=effect_id, reason=reason
    )


def _said(row: Any) -> str:
    if row["ordered"]:
        return "ordered"
    return "not-found" if row["state"] is None else "erased" if row["emptied"] else str(row["state"])
