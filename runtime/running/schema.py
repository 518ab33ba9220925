"""No process works on a schema that is behind its code. A newer schema is fine: columns are only ever added."""

import asyncio
from pathlib import Path

import asyncpg

from runtime.logging import get_logger
from runtime.migrations import DIRECTORY, applied, read_migrations
from runtime.pauses import pause
from runtime.postgres import TRANSIENT, Role, is_transient, role_url
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.errors import ConfigurationError

log = get_logger(__name__)
_PAUSE_SECONDS = 0.5
_MIGRATE = "casestream db migrate"


async def schema_problems(conn: Connection, directory: Path = DIRECTORY) -> list[str]:
    """What our code needs and the database lacks, with the command that mends it; empty when nothing."""
    try:
        done = await applied(conn)
    except asyncpg.InsufficientPrivilegeError:
        done = {}
    files = read_migrations(directory)
    behind = [migration.name for migration in files if migration.number not in done]
    changed = [one.name for one in files if one.number in done and done[one.number][1] != one.checksum]
    which = "database" if directory == DIRECTORY else f"{directory.name} database"
    problems = []
    if behind:
        problems.append(f"the {which} lacks {len(behind)} migration(s), first {behind[0]}: run `{_MIGRATE}`")
    if changed:
        problems.append(f"migration {changed[0]} differs from the applied one: run `casestream db status`, restore the file")
    return problems


async def require_schema(settings: Settings, role: Role, stop: asyncio.Event) -> None:
    """Wait for the database itself as long as it takes; raise ConfigurationError when its schema is behind."""
    problems = await _ask_until_answered(settings, role, stop)
    if problems:
        raise ConfigurationError(problems)


async def await_schema(settings: Settings, role: Role, stop: asyncio.Event) -> None:
    """Return when the schema is at head, or at `stop`."""
    while problems := await _ask_until_answered(settings, role, stop):
        log.warning("waiting for the schema", action=_MIGRATE, count=len(problems))
        await pause(stop, _PAUSE_SECONDS)


async def _ask_until_answered(settings: Settings, role: Role, stop: asyncio.Event) -> list[str]:
    while not stop.is_set():
        try:
            return await ask_schema(settings, role)
        except TRANSIENT as error:
            if not is_transient(error):
                raise
            log.warning("waiting for PostgreSQL", error=error)
        await pause(stop, _PAUSE_SECONDS)
    return []


async def ask_schema(settings: Settings, role: Role, timeout: float = 5.0) -> list[str]:  # noqa: ASYNC109 - asyncpg's own
    """`schema_problems` over a connection of its own. Raises what connecting raises, ConfigurationError for a missing role."""
    try:
        conn = await asyncpg.connect(role_url(settings, role), timeout=timeout)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise ConfigurationError(
            [f"PostgreSQL refuses role cs_{role} ({type(error).__name__}): make roles and database (deploy/database/roles.sql)"]
        ) from error
    try:
        return await schema_problems(conn)
    finally:
        await conn.close(timeout=timeout)
