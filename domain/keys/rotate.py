"""A subject's next data key: what is stored from now on is encrypted under it; older snapshots keep theirs.

Other processes go on with the key before for as long as they keep it (CASESTREAM_KEYS__CACHE_SECONDS). Rotation limits what
one key protects; it does not make an old key useless, only `shred` does.
"""

from typing import Any
from uuid import UUID

import asyncpg

from runtime.keys.providers import KeyEncryption
from runtime.keys.ring import make_keys
from runtime.keys.store import queries
from schemas.errors import ConcurrencyConflict, NotFound


async def rotate(keys: asyncpg.Pool, provider: KeyEncryption, tenant: str, subject: str) -> UUID:
    """The id of the new key. Raises NotFound for a subject without a key (a shredded one too), ConcurrencyConflict."""
    last: int = await queries.highest_generation(keys, tenant_id=tenant, subject_id=subject)
    if last == 0:
        raise NotFound(f"subject {subject} of tenant {tenant} has no data key: nothing was stored for it, or it was shredded")
    if not await make_keys(keys, provider, [(tenant, subject, last + 1)]):
        raise ConcurrencyConflict(last, "a newer key")
    current: list[Any] = await queries.list_current(keys, tenants=[tenant], subjects=[subject])
    key_id: UUID = current[0]["key_id"]
    return key_id
