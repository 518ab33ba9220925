"""What the operators' commands share: the database as cs_worker, the person at the terminal, checks of names."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from domain.operations.groups import known_groups
from runtime.postgres import TRANSIENT, is_transient, open_pool, tenants_transaction
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.errors import ConfigurationError, Rejected, TransientError
from schemas.registry import Group

Answer = TypeVar("Answer")

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.3


def actor() -> str:
    """Who is written into the audit log."""
    return f"cli:{getpass.getuser()}"


async def group_of(pool: asyncpg.Pool, name: str) -> Group:
    """A group of the registry or of a table version. Raises ConfigurationError that names those there are."""
    groups = await read(pool, known_groups)
    if name not in groups:
        raise ConfigurationError([f"--group {name}: there is none of this name; there are {', '.join(sorted(groups))}"])
    found: Group = groups[name]
    return found


def topics_of(group: Group, topic: str | None) -> tuple[str, ...]:
    """The group's topics, or the one that was named. Raises ConfigurationError."""
    if topic is None:
        return group.topics
    if topic not in group.topics:
        raise ConfigurationError([f"--topic {topic}: group {group.name} reads {', '.join(group.topics)}"])
    return (topic,)


def refuse(rejected: Rejected) -> ConfigurationError:
    """A business "no" to an operator: exit code 3 and its sentence."""
    return ConfigurationError([f"{rejected.code}: {rejected.message}"])


def run(work: Callable[[Settings, asyncpg.Pool], Awaitable[Answer]]) -> Answer:
    """Run a command's work with a pool of cs_worker. Raises TransientError when the database is away."""

    async def act() -> Answer:
        settings = Settings.load()
        try:
            pool = await open_pool(settings, "worker", size=2, wait=False)
        except TRANSIENT as error:
            raise TransientError(f"PostgreSQL does not answer ({type(error).__name__}); see `casestream status`") from error
        try:
            return await work(settings, pool)
        finally:
            pool.terminate()

    return asyncio.run(act())


async def write(pool: asyncpg.Pool, deed: Callable[[Connection], Awaitable[Answer]], tenants: Sequence[str] = ()) -> Answer:
    """One deed in one transaction, tried again when a running batch held what it needs."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with tenants_transaction(pool, tenants) as conn:
                return await deed(conn)
        except Exception as error:
            if not is_transient(error):
                raise
            if attempt == _ATTEMPTS:
                raise TransientError(
                    f"nothing was changed: {type(error).__name__} five times; a running batch holds the rows, repeat it"
                ) from error
            await asyncio.sleep(_PAUSE_SECONDS * attempt)
    raise AssertionError("unreachable")


async def read(pool: asyncpg.Pool, question: Callable[[Connection], Awaitable[Any]]) -> Any:
    """One question."""
    async with pool.acquire() as conn:
        return await question(conn)
