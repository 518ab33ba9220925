"""Rows of effects: what they become as values, and how values become the arrays of `store.sql`. Decides nothing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from domain.effects.effect import ClaimedEffect, NewEffect, RetryPolicy
from runtime.sql import Connection, load_queries

queries = load_queries(Path(__file__).with_name("store.sql"))

# (tenant, owner's kind, owner's id) and (tenant, order key).
OwnerKey = tuple[str, str, str]
OrderKey = tuple[str, str]


def encode(content: Mapping[str, Any] | None) -> bytes | None:
    """JSON bytes of a request or a detail."""
    return None if content is None else orjson.dumps(content)


def decode(content: bytes | None) -> dict[str, Any] | None:
    """The mapping of such bytes; None when they were emptied."""
    found: dict[str, Any] | None = None if content is None else orjson.loads(content)
    return found


def claimed_of(row: Any, request: bytes | None) -> ClaimedEffect:
    """An effect from its row; the request comes from elsewhere, since who claims may not read it."""
    return ClaimedEffect(
        tenant_id=row["tenant_id"],
        id=row["effect_id"],
        owner_kind=row["owner_kind"],
        owner_id=row["owner_id"],
        index=row["action_index"],
        occurrence=row["occurrence"],
        kind=row["kind"],
        request=decode(request),
        order_key=row["order_key"],
        endpoint=row["endpoint"],
        subject_id=row["subject_id"],
        retry=RetryPolicy(row["retries"], row["delay_seconds"], row["backoff"]),
        is_async=row["is_async"],
        attempt=row["attempt"],
        failures=row["failures"],
        term=row["lease_term"],
    )


def tenants_and_ids(keys: Iterable[tuple[str, UUID]]) -> dict[str, list[Any]]:
    """The two arrays that name effects."""
    pairs = list(keys)
    return {"tenant_ids": [tenant for tenant, _ in pairs], "ids": [id_ for _, id_ in pairs]}


def owner_arrays(owners: Iterable[OwnerKey]) -> dict[str, list[str]]:
    """The three arrays that name owners."""
    rows = sorted(owners)
    return {
        "tenant_ids": [tenant for tenant, _, _ in rows],
        "owner_kinds": [kind for _, kind, _ in rows],
        "owner_ids": [id_ for _, _, id_ in rows],
    }


def key_arrays(keys: Iterable[OrderKey]) -> dict[str, list[str]]:
    """The two arrays that name order keys."""
    rows = sorted(keys)
    return {"tenant_ids": [tenant for tenant, _ in rows], "order_keys": [key for _, key in rows]}


async def find_unfinished(conn: Connection, owners: Iterable[OwnerKey], kind: str) -> list[ClaimedEffect]:
    """Effects of this kind that these owners have and that have not ended; nothing is locked."""
    rows = await queries.find_unfinished(conn, **owner_arrays(owners), kind=kind)
    return [claimed_of(row, row["request"]) for row in rows]


async def lock_keys(conn: Connection, wanted: Mapping[OrderKey, int]) -> dict[OrderKey, int]:
    """Lock these keys and draw so many positions from each; the number before the first that was drawn."""
    if not wanted:
        return {}
    rows = await queries.draw_positions(conn, **key_arrays(wanted), wanted=[wanted[key] for key in sorted(wanted)])
    return {(key := (row["tenant_id"], row["order_key"])): row["last_position"] - wanted[key] for row in rows}


async def insert(conn: Connection, placed: Sequence[tuple[NewEffect, str, int | None]]) -> set[UUID]:
    """Insert effects with their states and positions, behind those who stand in their lines; the ids that are new."""
    effects = [effect for effect, _, _ in placed]
    rows = await queries.insert_effects(
        conn,
        **tenants_and_ids((effect.tenant_id, effect.id) for effect in effects),
        owner_kinds=[effect.owner_kind for effect in effects],
        owner_ids=[effect.owner_id for effect in effects],
        indexes=[effect.index for effect in effects],
        occurrences=[effect.occurrence for effect in effects],
        kinds=[effect.kind for effect in effects],
        endpoints=[effect.endpoint or effect.kind for effect in effects],
        requests=[encode(effect.request) for effect in effects],
        order_keys=[effect.order_key for effect in effects],
        positions=[position for _, _, position in placed],
        subject_ids=[effect.subject_id for effect in effects],
        retries=[effect.retry.retries for effect in effects],
        delays=[effect.retry.delay_seconds for effect in effects],
        backoffs=[effect.retry.backoff for effect in effects],
        are_async=[effect.is_async for effect in effects],
        states=[state for _, state, _ in placed],
        waits=[0.0 if effect.waiting else effect.delay_seconds for effect in effects],
    )
    return {row["effect_id"] for row in rows}
