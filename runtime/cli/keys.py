"""`casestream keys`: data keys of subjects, their wrapping, and their destruction.

Reads and writes the keys database as cs_keys, the main one as cs_worker and cs_scan; every change is a row of the audit log.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

from domain.audit import append
from domain.keys import rewrap as rewrapping
from domain.keys import rotate as rotating
from domain.keys.ledgers import settle as settle_ledgers
from domain.keys.shred import Shredder
from runtime.cli import operating, output
from runtime.cli.exits import ExitCode
from runtime.cli.purgers import PURGERS
from runtime.ids import uuid7
from runtime.keys.database import open_keys_pool
from runtime.keys.ledger_file import LedgerEntry, ledger_file
from runtime.keys.providers import open_provider
from runtime.keys.store import queries
from runtime.postgres import Role, open_pool
from runtime.settings import Settings
from schemas.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Data keys: list, rotate, rewrap, shred, settle.")

Answer = TypeVar("Answer")
_Tenant = Annotated[str, typer.Argument(help="The subject's tenant.")]
_Subject = Annotated[str, typer.Argument(help="The subject's id.")]
_Reason = Annotated[str | None, typer.Option(help="Why; kept in the audit log and in the ledgers.")]


@dataclass(frozen=True, slots=True)
class _Places:
    """The two databases of a command."""

    settings: Settings
    keys: asyncpg.Pool
    main: asyncpg.Pool


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's keys, one row each.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only this subject's keys, one row each.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many keys.")] = 200,
) -> None:
    """How many data keys each key-encryption key wraps; with --tenant or --subject the keys themselves, never a secret."""

    async def work(places: _Places) -> Any:
        if tenant is None and subject is None:
            return await queries.count_by_kek(places.keys)
        return await queries.list_keys_of_subjects(places.keys, tenant_id=tenant, subject_id=subject, most=limit)

    output.show_rows(_run(work))


@app.command()
def rotate(tenant: _Tenant, subject: _Subject, reason: _Reason = None) -> None:
    """Give a subject its next data key. What is stored keeps its own; other processes follow within the cache's time."""

    async def work(places: _Places) -> None:
        async with open_provider(places.settings) as provider:
            key_id = await rotating.rotate(places.keys, provider, tenant, subject)
        await _audit(places, tenant, "keys.rotate", "subject", subject, reason, {"key_id": str(key_id)})
        output.show_record({"tenant": tenant, "subject": subject, "key_id": str(key_id)})

    _run(work)


@app.command()
def rewrap(reason: _Reason = None) -> None:
    """Bring every data key under the current key-encryption key, while everybody works. Interrupted: start it again.

    Exit code 4 when some keys do not open and were left as they are.
    """

    async def work(places: _Places) -> rewrapping.Progress:
        async with open_provider(places.settings) as provider:
            left = await rewrapping.count_left(places.keys, provider.kek_id)
            done = await _with_progress(left, rewrapping.rewrap(places.keys, provider))
            detail = {"kek_id": provider.kek_id, **asdict(done)}
        await _audit(places, "", "keys.rewrap", "kek", provider.kek_id, reason, detail)
        output.show_record(detail)
        return done

    if _run(work).broken:
        output.remark("some keys do not open under the key-encryption key that their row names; their ids are in the log")
        raise typer.Exit(ExitCode.PARTLY)


@app.command()
def shred(
    tenant: _Tenant,
    subject: _Subject,
    execute: Annotated[bool, typer.Option("--execute", help="Do it. There is no way back.")] = False,
    reason: _Reason = None,
) -> None:
    """Erase a subject: destroy its data keys and purge every table. A dry run with counts unless --execute and --reason."""
    if execute and not reason:
        raise ConfigurationError(["--execute needs --reason: it is kept in the audit log and in the ledgers"])

    async def work(places: _Places) -> dict[str, Any]:
        shredder = Shredder(places.main, places.keys, ledger_file(places.settings), PURGERS)
        if not execute:
            rows = await shredder.survey(tenant, subject)
            return {"tenant": tenant, "subject": subject, "rows": rows}
        entry = LedgerEntry(tenant, subject, uuid7(), datetime.now(UTC), operating.actor(), reason or "")
        return asdict(await shredder.shred(entry))

    output.show_record(_run(work))
    output.remark("erased; this is the proof report" if execute else "dry run: nothing was changed")


@app.command()
def report(tenant: _Tenant, subject: _Subject) -> None:
    """The proof report of a shred: what was destroyed and deleted where, and whether anything is left to do."""

    async def work(places: _Places) -> dict[str, Any]:
        shredder = Shredder(places.main, places.keys, ledger_file(places.settings), PURGERS)
        try:
            return asdict(await shredder.report(tenant, subject))
        except LookupError:
            raise ConfigurationError([f"subject {subject} of tenant {tenant} was not shredded"]) from None

    output.show_record(_run(work))


@app.command()
def settle() -> None:
    """Bring the union of the three shred ledgers into each of them: after a restore, before anything else is started."""

    async def work(places: _Places) -> int:
        return await settle_ledgers(places.main, places.keys, ledger_file(places.settings))

    added = _run(work, "scan")
    output.remark(f"{added} subject(s) were missing in one of the databases and are erased again; workers do the rest")


async def _with_progress(total: int, steps: AsyncIterator[rewrapping.Progress]) -> rewrapping.Progress:
    from rich.console import Console
    from rich.progress import Progress

    done = rewrapping.Progress()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rewrap", total=total)
        async for done in steps:
            bar.update(task, completed=done.seen)
    return done


async def _audit(
    places: _Places, tenant: str, action: str, kind: str, name: str, reason: str | None, detail: dict[str, Any]
) -> None:
    async def deed(conn: Any) -> None:
        await append(
            conn,
            tenant_id=tenant,
            actor=operating.actor(),
            action=action,
            object_type=kind,
            object_id=name,
            reason=reason,
            detail=detail,
        )

    await operating.write(places.main, deed, [tenant] if tenant else [])


def _run(work: Callable[[_Places], Awaitable[Answer]], role: Role = "worker") -> Answer:
    async def act() -> Answer:
        async with _opened(role) as places:
            return await work(places)

    return asyncio.run(act())


@asynccontextmanager
async def _opened(role: Role) -> AsyncIterator[_Places]:
    settings = Settings.load()
    keys = await open_keys_pool(settings, size=2, wait=False)
    try:
        main = await open_pool(settings, role, size=2, wait=False)
        try:
            yield _Places(settings, keys, main)
        finally:
            main.terminate()
    finally:
        keys.terminate()
