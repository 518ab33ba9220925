"""Put and remove secrets of a tenant, each with its row in the audit log, which names the secret and never its value.

1. the data key, from the ring (it may ask the keys database; no lock of the main database is held for it)
2. `hold_subjects`: were the tenant's secrets erased, the answer is no
3. the secret's row, locked; seal; write
"""

from typing import Any

from domain import audit
from domain.keys.guard import hold_subjects
from domain.secrets.reads import queries
from domain.secrets.sealing import Keys, seal_value, subject_of
from runtime.sql import Connection
from schemas.errors import NotFound, Rejected

# How long receivers have to change over when nobody says.
PREVIOUS_LIVES_SECONDS = 86_400


async def put_secret(
    conn: Connection,
    keys: Keys,
    tenant_id: str,
    name: str,
    value: str,
    *,
    actor: str,
    previous_lives_seconds: float = PREVIOUS_LIVES_SECONDS,
) -> int | Rejected:
    """The number of the new value. The value before lives on so long, 0: not at all; those before it are gone."""
    subject = subject_of(tenant_id)
    key = (await keys.current([subject])).get(subject)
    if await hold_subjects(conn, [subject]) or key is None:
        return Rejected("SubjectErased", "put a secret: the keys of this tenant's secrets were destroyed")
    version = await _next_version(conn, tenant_id, name, actor)
    place: dict[str, Any] = {"tenant_id": tenant_id, "name": name}
    await queries.delete_older_values(conn, **place, version=version - 1 if previous_lives_seconds else version)
    await queries.retire_value(conn, **place, version=version - 1, seconds=float(previous_lives_seconds))
    sealed = seal_value(key, tenant_id, name, version, value)
    await queries.insert_value(conn, **place, version=version, sealed=sealed)
    detail = {"version": version, "previous_lives_seconds": previous_lives_seconds}
    await _record(conn, tenant_id, actor, "secret.put", name, detail)
    return version


async def remove_secret(conn: Connection, tenant_id: str, name: str, *, actor: str) -> None:
    """No value is left, the one before neither. Raises NotFound."""
    row = await queries.remove_secret(conn, tenant_id=tenant_id, name=name, actor=actor)
    if row is None:
        raise NotFound(f"secret {name} not found; list the secrets of this tenant")
    await queries.delete_values(conn, tenant_id=tenant_id, name=name)
    await _record(conn, tenant_id, actor, "secret.remove", name, {"version": row["version"]})


async def _next_version(conn: Connection, tenant_id: str, name: str, actor: str) -> int:
    if await queries.insert_secret(conn, tenant_id=tenant_id, name=name, actor=actor):
        return 1
    locked = await queries.lock_secret(conn, tenant_id=tenant_id, name=name)
    version: int = locked["version"] + 1
    await queries.raise_version(conn, tenant_id=tenant_id, name=name, version=version, actor=actor)
    return version


async def _record(conn: Connection, tenant_id: str, actor: str, action: str, name: str, detail: dict[str, Any]) -> None:
    await audit.append(
        conn, tenant_id=tenant_id, actor=actor, action=action, object_type="secret", object_id=name, detail=detail
    )
