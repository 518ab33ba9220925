"""The door's transaction: one tenant, begun and bound in one round trip; driver errors become ours at its edge.

The tenant is bound by a transaction-local setting, so nothing of it outlives the transaction on a pooled connection.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from runtime.postgres import is_transient
from runtime.sql import Connection
from schemas.errors import TransientError
from schemas.tenants import is_tenant_id

ACQUIRE_SECONDS = 2.0


def begin_statement(tenant_id: str) -> str:
    """BEGIN and the tenant's setting as one message. Raises ValueError: a tenant id that would need quoting."""
    if not is_tenant_id(tenant_id):
        raise ValueError("a tenant id has letters, digits, _ . - only")
    return f"begin; select set_config('app.tenant', '{tenant_id}', true)"


@asynccontextmanager
async def transaction(pool: asyncpg.Pool, tenant_id: str) -> AsyncIterator[Connection]:
    """A transaction that sees one tenant. Commits at the end, rolls back on any exception.

    Raises TransientError when the database is away or gave up; then it is unknown whether a commit under way happened.
    """
    try:
        conn = await pool.acquire(timeout=ACQUIRE_SECONDS)
        try:
            await conn.execute(begin_statement(tenant_id))
            yield conn
            if await conn.execute("commit") != "COMMIT":
                raise TransientError("committing a request's transaction: it had failed before; repeat the request")
        except BaseException:
            # The pool's release would roll back too, but not before it complains about us.
            if not conn.is_closed() and conn.is_in_transaction():
                await conn.execute("rollback")
            raise
        finally:
            await pool.release(conn)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        if not is_transient(error):
            raise
        raise TransientError("asking the database failed; repeat the request") from error
