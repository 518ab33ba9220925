"""Bring every data key under the provider's current key-encryption key: one row per key, no payload, while everybody works.

There is no order to be stored: what is left is what another key-encryption key still wraps. So an interrupted rewrap is
resumed by starting it again, two at once do each key once, and a key that was shredded or wrapped anew meanwhile is left
alone (the statement compares the old wrapping).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from runtime.failpoints import reach
from runtime.keys.providers import KeyEncryption, Wrapped
from runtime.keys.ring import binding_of
from runtime.keys.store import queries

_BATCH = 200
_FIRST = ("", "", UUID(int=0))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rewrap is: keys looked at, wrapped anew, and those that do not open under the key that their row names."""

    seen: int = 0
    rewrapped: int = 0
    broken: int = 0


async def count_left(keys: asyncpg.Pool, kek_id: str) -> int:
    """How many data keys another key-encryption key wraps."""
    return sum(row["keys"] for row in await queries.count_by_kek(keys) if row["kek_id"] != kek_id)


async def rewrap(keys: asyncpg.Pool, provider: KeyEncryption) -> AsyncIterator[Progress]:
    """Batch by batch, each committed by itself; the progress after each. Broken keys are left as they are."""
    progress, after = Progress(), _FIRST
    while True:
        rows = await queries.list_to_rewrap(
            keys, kek_id=provider.kek_id, tenant_id=after[0], subject_id=after[1], key_id=after[2], most=_BATCH
        )
        if not rows:
            return
        rewrapped, broken = await _rewrap_batch(keys, provider, rows)
        progress = Progress(progress.seen + len(rows), progress.rewrapped + rewrapped, progress.broken + broken)
        await reach("rewrap.after-batch")
        yield progress
        after = (rows[-1]["tenant_id"], rows[-1]["subject_id"], rows[-1]["key_id"])


async def _rewrap_batch(keys: asyncpg.Pool, provider: KeyEncryption, rows: list[Any]) -> tuple[int, int]:
    secrets = await provider.unwrap([(Wrapped(row["kek_id"], row["wrapped"]), binding_of(row)) for row in rows])
    opened = [(row, secret) for row, secret in zip(rows, secrets, strict=True) if secret is not None]
    wrapped = await provider.wrap([(secret, binding_of(row)) for row, secret in opened])
    rewrapped: int = await queries.rewrap_keys(
        keys,
        tenants=[row["tenant_id"] for row, _ in opened],
        subjects=[row["subject_id"] for row, _ in opened],
        key_ids=[row["key_id"] for row, _ in opened],
        old=[row["wrapped"] for row, _ in opened],
        kek_ids=[one.kek_id for one in wrapped],
        new=[one.blob for one in wrapped],
    )
    return rewrapped, len(rows) - len(opened)
