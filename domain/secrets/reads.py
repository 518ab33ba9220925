"""Secrets as people may see them, names and dates; and live values, for senders alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.keys.guard import hold_subjects
from domain.secrets.sealing import Keys, key_place, open_value, subject_of
from runtime.sql import Connection, load_queries
from schemas.errors import DecryptionFailed

queries = load_queries(Path(__file__).with_name("secrets.sql"))


@dataclass(frozen=True, slots=True)
class LiveSecret:
    """The values that count now, the newest first; they show in no text."""

    values: tuple[str, ...] = field(repr=False)

    @property
    def newest(self) -> str:
        return self.values[0]


async def list_secrets(
    conn: Connection, tenant_id: str, *, after: str | None = None, page_size: int = 100
) -> list[dict[str, Any]]:
    """One page of a tenant's secrets by name: which version counts, who put it and when, never a value."""
    return [dict(row) for row in await queries.list_secrets(conn, tenant_id=tenant_id, after=after, page_size=page_size)]


async def known_secrets(conn: Connection, tenant_id: str, names: Collection[str]) -> set[str]:
    """Those of these names that are secrets of the tenant: what a rule is judged by when it is saved."""
    return set(await queries.list_known(conn, tenant_id=tenant_id, names=sorted(set(names))))


async def live_secrets(conn: Connection, keys: Keys, tenant_id: str, names: Collection[str]) -> Mapping[str, LiveSecret]:
    """The live values of these names. Absent: no such secret, or its key was destroyed.

    Raises TransientError when the keys database is away, DecryptionFailed for a value that does not open.
    """
    rows = await queries.list_live_values(conn, tenant_id=tenant_id, names=sorted(set(names)))
    if not rows:
        return {}
    opened = await keys.secrets([key_place(tenant_id, row["sealed"]) for row in rows])
    if await hold_subjects(conn, [subject_of(tenant_id)]):
        return {}
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(_opened(opened, tenant_id, row))
    return {name: LiveSecret(tuple(values)) for name, values in found.items()}


def _opened(secrets: Mapping[Any, bytes], tenant_id: str, row: Mapping[str, Any]) -> str:
    key_id = key_place(tenant_id, row["sealed"])[2]
    if key_id not in secrets:
        raise DecryptionFailed("the secret's data key is unknown or destroyed")
    return open_value(secrets[key_id], tenant_id, row["name"], row["version"], row["sealed"])
