"""PostgreSQL connections: one pool per database role, so that each process can do what its role may and nothing else.

Owns the role's URL and the pool's limits. The server-side time limits of a role live in deploy/database/roles.sql.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from runtime.settings import Settings
from runtime.sql import Connection
from schemas.errors import TransientError

Role = Literal["api", "worker", "scan", "migrate"]

# The server ends a statement of ours after 5 s and a transaction after 8 s. Who has heard nothing until then has a connection
# that is half open, and must not stand still with its lease, its partitions or its request (P5).
ANSWER_SECONDS = 8.0

# Every statement of a batch looks up keys that stand in an array. A plan made while a table was small, or by a guess at the
# array's length, reads the whole table for each batch: a rebuild from the first event then slows down with every row.
# And a plan that is made anew for each call costs more than most of these statements.
KEY_LOOKUPS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

# Planning the two dozen statements of a batch anew takes some 20 ms of a connection.
PLANS_SECONDS = 10.0

# What a retry can cure: the server or the network is away, a deadlock, a serialization failure, a time limit of the role.
TRANSIENT = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # The driver lost track of a connection that broke in the middle of an answer; it never says so of a message.
    asyncpg.InternalClientError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    # A migration ran under a cached plan: the next attempt makes a new one.
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
    asyncpg.TransactionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.OutOfMemoryError,
    ConnectionError,
    TimeoutError,
    OSError,
    TransientError,
)


def is_transient(error: BaseException) -> bool:
    """Whether the same attempt may succeed later. A parameter that asyncpg cannot encode never will."""
    return isinstance(error, TRANSIENT) and not isinstance(error, ValueError)


def role_url(settings: Settings, role: Role) -> str:
    """The role's own URL, or DATABASE_URL with the role's name as user."""
    given = getattr(settings, f"database_url_{role}")
    return _reveal(given) if given else with_user(_reveal(settings.database_url), f"cs_{role}")


def _reveal(secret: object) -> str:
    reveal = getattr(secret, "get_secret_value", None)
    return str(reveal() if reveal else secret)


def with_user(url: str, user: str) -> str:
    """The URL with another user and the same password, host, database and options."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    password = credentials.partition(":")[2]
    netloc = f"{user}:{password}@{host}" if password else f"{user}@{host}"
    return urlunsplit(parts._replace(netloc=netloc))


async def open_pool(
    settings: Settings,
    role: Role,
    *,
    size: int = 4,
    min_size: int = 1,
    wait: bool = True,
    reset: bool = True,
    planner: Mapping[str, str] | None = None,
) -> asyncpg.Pool:
    """A pool of the role's connections. With `wait` a database that is away is waited for, with backoff, for ever.

    `min_size` 0 connects when the first query comes. `reset` False saves a round trip per release: for a caller that
    leaves nothing on a connection, only transaction-local settings and transaction locks. `planner`: server settings for
    a process whose statements are all of one kind; its plans are kept, and made anew every PLANS_SECONDS.
    """
    delay = 0.1
    while True:
        try:
            return await asyncpg.create_pool(
                role_url(settings, role),
                min_size=min_size,
                max_size=size,
                command_timeout=None if role == "migrate" else ANSWER_SECONDS,
                server_settings={"application_name": f"casestream-{role}", **(planner or {})},
                reset=None if reset else _leave_as_it_is,
                setup=_new_plans() if planner else None,
            )
        except TRANSIENT as error:
            if not wait or not is_transient(error):
                raise
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)


def _new_plans() -> Callable[[Any], Coroutine[Any, Any, None]]:
    """What lets a pool's connections forget their plans now and then.

    A plan that was made while a table had a page is kept until autovacuum looks at the table, a minute later. Of two indexes
    that cost the same for one page it may have taken the one that reads all rows of the tenant, which by then are thousands.
    """
    made: dict[int, float] = {}

    async def setup(conn: asyncpg.Connection) -> None:
        pid, now = conn.get_server_pid(), time.monotonic()
        if now - made.setdefault(pid, now) >= PLANS_SECONDS:
            await conn.execute("discard plans")
            made[pid] = now

    return setup


async def _leave_as_it_is(_conn: Connection) -> None:
    # asyncpg itself rolls an open transaction back before it asks.
    return None


def array_literal(items: Sequence[str]) -> str:
    """A text[] literal for `set_config('app.tenants', ...)`."""
    quoted = ('"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items)
    return "{" + ",".join(quoted) + "}"


@asynccontextmanager
async def tenants_transaction(pool: asyncpg.Pool, tenant_ids: Sequence[str]) -> AsyncIterator[Connection]:
    """A transaction of several tenants for a job that runs as cs_worker."""
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("select set_config('app.tenants', $1, true)", array_literal(tenant_ids))
        yield conn
