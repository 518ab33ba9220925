"""Live secrets for senders: read just before the call, in a short transaction of the one tenant.

Calls that are begun together share a read: while one of a tenant is on its way, those who come meanwhile are answered by the
next, which begins after they asked. So nothing is kept, and a hundred calls cost a few transactions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

import asyncpg

from domain.secrets.reads import LiveSecret, live_secrets
from domain.secrets.sealing import Keys
from runtime.postgres import is_transient, tenants_transaction
from schemas.errors import TransientError
from workers.effects.batches import Batches

SecretsOf = Callable[[str, Collection[str]], Awaitable[Mapping[str, LiveSecret]]]
_MOST, _ABREAST = 500, 4


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a call needs, and where it waits for it."""

    names: Collection[str]
    answer: "asyncio.Future[Mapping[str, LiveSecret]]"


def stored_secrets(pool: asyncpg.Pool, keys: Keys) -> SecretsOf:
    """Asks the database as cs_worker. Raises TransientError, DecryptionFailed."""

    async def answer(tenant_id: str, asked: list[_Asked]) -> None:
        try:
            found = await _read(pool, keys, tenant_id, {name for one in asked for name in one.names})
        except Exception as error:  # noqa: BLE001 - whoever asked hears of it
            if len(asked) == 1 or isinstance(error, TransientError):
                _fail(asked, error)
                return
            # One value that does not open is no other call's trouble.
            for one in asked:
                await answer(tenant_id, [one])
        else:
            for one in asked:
                if not one.answer.done():
                    one.answer.set_result({name: found[name] for name in one.names if name in found})

    reads: Batches[str, _Asked] = Batches(answer, size=_MOST, abreast=_ABREAST)

    async def ask(tenant_id: str, names: Collection[str]) -> Mapping[str, LiveSecret]:
        asked = _Asked(names, asyncio.get_running_loop().create_future())
        reads.put(tenant_id, asked)
        return await asked.answer

    return ask


async def _read(pool: asyncpg.Pool, keys: Keys, tenant_id: str, names: Collection[str]) -> Mapping[str, LiveSecret]:
    try:
        async with tenants_transaction(pool, [tenant_id]) as conn:
            return await live_secrets(conn, keys, tenant_id, names)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        if not is_transient(error):
            raise
        raise TransientError("reading a tenant's secrets failed; repeat it") from error


def _fail(asked: list[_Asked], error: Exception) -> None:
    for one in asked:
        if not one.answer.done():
            one.answer.set_exception(error)
