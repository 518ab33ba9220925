"""No process uses a keys database that is behind its code."""

import asyncpg

from runtime.migrations import KEYS_DIRECTORY
from runtime.running.schema import schema_problems
from schemas.errors import ConfigurationError


async def require_keys_schema(pool: asyncpg.Pool) -> None:
    """Raises ConfigurationError, with the command that mends it, when the keys database lacks a migration."""
    async with pool.acquire() as conn:
        problems = await schema_problems(conn, KEYS_DIRECTORY)
    if problems:
        raise ConfigurationError(problems)
