"""Live secrets for senders: read in a short transaction of the one tenant, just before the call."""

from collections.abc import Awaitable, Callable, Collection, Mapping

import asyncpg

from domain.secrets.reads import LiveSecret, live_secrets
from domain.secrets.sealing import Keys
from runtime.postgres import is_transient, tenants_transaction
from schemas.errors import TransientError

SecretsOf = Callable[[str, Collection[str]], Awaitable[Mapping[str, LiveSecret]]]


def stored_secrets(pool: asyncpg.Pool, keys: Keys) -> SecretsOf:
    """Asks the database as cs_worker. Raises TransientError, DecryptionFailed."""

    async def read(tenant_id: str, names: Collection[str]) -> Mapping[str, LiveSecret]:
        try:
            async with tenants_transaction(pool, [tenant_id]) as conn:
                return await live_secrets(conn, keys, tenant_id, names)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if not is_transient(error):
                raise
            raise TransientError("reading a tenant's secrets failed; repeat it") from error

    return read
