"""Finding and leasing what is due, as cs_scan across tenants; reading what it says, as cs_worker under its tenants.

A claim is one short transaction: places are given away by `channels.allot` under a lock that one worker holds at a time, so the
limits hold over all workers. Effects whose worker fell silent come first: they count
as in flight already.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from domain.effects.channels import Channel, ChannelKey, Limits, allot, circuit_after
from domain.effects.effect import ClaimedEffect
from domain.effects.store import OwnerKey, claimed_of, decode
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("claiming.sql"))
reading = load_queries(Path(__file__).with_name("reading.sql"))

Held = Mapping[tuple[str, UUID], int]


class Work(NamedTuple):
    """What a claim might find: calls that are due, and calls whose lease ran out."""

    due: bool
    expired: bool


async def find_work(conn: Connection, kinds: Sequence[str], life: float) -> Work:
    """One statement, what idle workers ask."""
    return Work(*await queries.find_work(conn, kinds=list(kinds), life=life))


@dataclass(frozen=True, slots=True)
class Claim:
    """Leased effects without their requests, in the order in which they were planned; channels whose last answers were bad."""

    effects: Sequence[ClaimedEffect] = ()
    failing: frozenset[ChannelKey] = frozenset()


async def claim(
    conn: Connection, kinds: Sequence[str], limits: Limits, places: int, *, owner: str, life: float, expired: bool = True
) -> Claim:
    """Lease up to `places` calls of these kinds for `life` seconds, in the caller's transaction; `expired` ones among them."""
    if places <= 0 or not await queries.try_to_claim_alone(conn):
        return Claim()
    held = {"kinds": list(kinds), "owner": owner, "life": life}
    rows = await queries.claim_expired(conn, **held, most=places) if expired else []
    found = await queries.find_channels(conn, kinds=list(kinds), most=places)
    channels = [_channel(row) for row in found if row["due"]]
    in_flight = {(row["tenant_id"], row["endpoint"]): row["calls"] for row in found}
    allotment = allot(channels, in_flight, limits, places - len(rows))
    if allotment.calls:
        rated = _channel_arrays(allotment.tokens)
        rows += await queries.claim_channels(
            conn,
            **held,
            **_channel_arrays(allotment.calls),
            calls=list(allotment.calls.values()),
            rated_tenant_ids=rated["tenant_ids"],
            rated_endpoints=rated["endpoints"],
            tokens=list(allotment.tokens.values()),
        )
    effects = [claimed_of(row, None) for row in sorted(rows, key=lambda row: row["seq"])]
    return Claim(effects, frozenset(channel.key for channel in channels if channel.failures))


async def load_requests(conn: Connection, claimed: Sequence[ClaimedEffect]) -> list[ClaimedEffect]:
    """The claimed effects with their requests; without those that are no longer the caller's. Needs no transaction."""
    rows = await reading.load_requests(conn, **_held_arrays({(one.tenant_id, one.id): one.term for one in claimed}))
    found = {(row["tenant_id"], row["effect_id"]): row["request"] for row in rows}
    return [replace(one, request=decode(found[one.tenant_id, one.id])) for one in claimed if (one.tenant_id, one.id) in found]


async def renew(conn: Connection, held: Held, life: float) -> set[tuple[str, UUID]]:
    """Prolong leases, by (tenant, id) and term; those that were prolonged."""
    rows = await queries.renew_leases(conn, **_held_arrays(held), life=life)
    return {(row["tenant_id"], row["effect_id"]) for row in rows}


async def release(conn: Connection, held: Held) -> None:
    """Give leases back before their time."""
    await queries.release_leases(conn, **_held_arrays(held))


async def note_answers(conn: Connection, channel: ChannelKey, answers: Sequence[bool], limits: Limits) -> tuple[int, float]:
    """Count a channel's answers (True: the other side is alive), in the caller's transaction.

    Failures in a row, and for how many seconds its circuit opens now.
    """
    tenant_id, endpoint = channel
    rows = await queries.lock_circuit(conn, tenant_id=tenant_id, endpoint=endpoint)
    failures, seconds = circuit_after(rows[0]["failures"], answers, limits)
    await queries.save_circuit(conn, tenant_id=tenant_id, endpoint=endpoint, failures=failures, open_seconds=seconds)
    return failures, seconds


async def find_falling_due(conn: Connection, internals: Iterable[str], most: int) -> list[OwnerKey]:
    """Owners whose delays are over or whose internal kinds wait, up to `most` effects."""
    rows = await queries.find_falling_due(conn, internals=sorted(internals), most=most)
    return [(row["tenant_id"], row["owner_kind"], row["owner_id"]) for row in rows]


async def measure(conn: Connection) -> float:
    """How long the longest due call has waited, in seconds."""
    found: float = await queries.measure_oldest_due(conn)
    return found


async def take_tenant(conn: Connection, tenant_id: str) -> bool:
    """Whether this transaction is the one that moves on the tenant's due effects; two would wait for each other's rows."""
    taken: bool = await reading.take_tenant(conn, tenant_id=tenant_id)
    return taken


def _held_arrays(held: Held) -> dict[str, list[Any]]:
    keys = sorted(held)
    return {
        "tenant_ids": [tenant for tenant, _ in keys],
        "ids": [id_ for _, id_ in keys],
        "terms": [held[key] for key in keys],
    }


def _channel(row: Mapping[str, Any]) -> Channel:
    return Channel(**{name: value for name, value in row.items() if name != "calls"})


def _channel_arrays(channels: Iterable[ChannelKey]) -> dict[str, list[str]]:
    keys = list(channels)
    return {"tenant_ids": [tenant for tenant, _ in keys], "endpoints": [endpoint for _, endpoint in keys]}
