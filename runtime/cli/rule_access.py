"""What the commands about rules share: the database as the HTTP door's role, a rule by id or name, the person who asks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID

import asyncpg
import typer

from domain.rules import reads, store
from domain.rules.compiling import RuleBroken
from domain.rules.problems import Language
from domain.rules.store import StoredRule
from runtime.cli import operating
from runtime.postgres import TRANSIENT, open_pool
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.errors import ConfigurationError, NotFound, PermanentError, TransientError

Answer = TypeVar("Answer")
OfTenant = Annotated[str, typer.Option("--tenant", help="The tenant.")]
WhichRule = Annotated[str, typer.Argument(metavar="RULE", help="The rule's id, or its name.")]
InLanguage = Annotated[str, typer.Option("--lang", help="vi or en: of the sentences.")]


def within(tenant: str, act: Callable[[Connection, Settings], Awaitable[Answer]], *, reading: bool = True) -> Answer:
    """One transaction of the tenant; with `reading` the database refuses every write in it."""

    async def run() -> Answer:
        settings = Settings.load()
        try:
            pool = await open_pool(settings, "api", size=1, wait=False)
        except TRANSIENT as error:
            raise TransientError(f"PostgreSQL does not answer ({type(error).__name__}); see `casestream status`") from error
        try:
            async with pool.acquire() as conn, conn.transaction(readonly=reading):
                await conn.execute("select set_config('app.tenant', $1, true)", tenant)
                return await act(conn, settings)
        finally:
            pool.terminate()

    try:
        return asyncio.run(run())
    except asyncpg.ForeignKeyViolationError:
        raise ConfigurationError([f"--tenant {tenant}: there is none of this name; add it first"]) from None
    except RuleBroken as error:
        told = f"the stored rule does not pass this release's checks ({error})"
        raise PermanentError(f"{told}: export it, lint the file, mend it and import it") from None


def editor(tenant: str) -> Caller:
    """The person at the terminal."""
    return Caller(tenant, operating.actor(), frozenset({"admin"}), "IMPORT")


def language_of(text: str) -> Language:
    """Raises ConfigurationError."""
    if text == "vi":
        return "vi"
    if text != "en":
        raise ConfigurationError([f"--lang {text}: expected vi or en"])
    return "en"


async def rule_of(conn: Connection, tenant: str, which: str) -> StoredRule:
    """The rule of this id or name. Raises NotFound, or ConfigurationError where several have the name."""
    ids = [which] if is_id(which) else await _named(conn, tenant, which)
    if len(ids) > 1:
        raise ConfigurationError([f"RULE={which}: {len(ids)} rules have this name, say an id: {', '.join(ids)}"])
    found = await store.find_rule(conn, tenant, ids[0]) if ids else None
    if found is None:
        raise NotFound(f"tenant {tenant} has no rule {which}; see `casestream rule list`")
    return found


async def _named(conn: Connection, tenant: str, name: str) -> list[str]:
    return [rule_id for rule_id, told in (await reads.all_definitions(conn, tenant)).items() if told.name == name]


def is_id(text: str) -> bool:
    """Whether it can be the id of a rule or a run."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
