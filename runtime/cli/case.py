"""`casestream case`: store, show, list versions of, and remove one case, by the commands that the doors call.

Writes and reads as cs_worker for the tenant that is named, as a person at the terminal; reading leaves its reason in the
audit log.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer

from domain.cases import commands, reads
from domain.cases.composing import names_in
from domain.cases.decisions import MAY_SEE_SENSITIVE, Decided, Outcome
from domain.cases.followed_classes import FollowedClasses
from domain.cases.known_classes import KnownClasses
from domain.cases.mapping_store import released_files
from domain.cases.masking import masked
from domain.outbox import Outbox
from runtime.cli import operating, output
from runtime.keys.ring import open_key_ring
from runtime.postgres import tenants_transaction
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.caller import Caller
from schemas.cases import CaseState, RemoveCase, StoreSnapshot
from schemas.errors import Rejected

app = typer.Typer(no_args_is_help=True, help="Cases: store, show, versions, remove.")

_Case = Annotated[str, typer.Argument(metavar="CASE", help="The case's id.")]
_Tenant = Annotated[str, typer.Option(help="The tenant.")]
_Expected = Annotated[int | None, typer.Option(min=0, help="Refuse unless this is the present version; 0: no case yet.")]


@app.command()
def store(
    case: _Case,
    tenant: _Tenant,
    class_name: Annotated[str, typer.Option("--class", help="Class of the case, like com.app.OrderCase.")],
    subject: Annotated[str, typer.Option(help="The one subject whose key encrypts it.")],
    file: Annotated[Path, typer.Argument(help="JSON object of all variables; - reads stdin.")] = Path("-"),
    business_key: Annotated[str | None, typer.Option(help="Business key of a work object.")] = None,
    state: Annotated[str | None, typer.Option(help="Active, Completed or Terminated.")] = None,
    expected_version: _Expected = None,
) -> None:
    """Store all variables of the case as its next version; every digit as it stands in the file."""
    text = sys.stdin.read() if str(file) == "-" else file.read_text()
    given: dict[str, Any] = {"business_key": business_key, "expected_version": expected_version}
    wanted: CaseState | None = state  # type: ignore[assignment]  # the model judges it
    command = StoreSnapshot(case_id=case, class_name=class_name, subject_id=subject, variables=text, state=wanted, **given)

    async def work(settings: Settings, pool: asyncpg.Pool) -> Outcome:
        caller, names = _writer(tenant), names_in(text)
        async with open_key_ring(settings, wait=False) as ring:
            async with tenants_transaction(pool, [tenant]) as conn:
                known = await _classes(conn)
            await commands.warm_key(ring, caller, command, known, names)
            async with tenants_transaction(pool, [tenant]) as conn:
                outbox = Outbox(settings.ce_source)
                return await commands.store_snapshot(conn, outbox, ring, caller, command, known, names)

    _show(operating.run(work))


@app.command()
def show(
    case: _Case,
    tenant: _Tenant,
    reason: Annotated[str, typer.Option(help="Why you read it; it goes to the audit log with your name.")],
    version: Annotated[int | None, typer.Option(min=1, help="A version; the latest when absent.")] = None,
    sensitive: Annotated[bool, typer.Option("--sensitive", help="Show sensitive fields too.")] = False,
) -> None:
    """Print the decrypted document, as it was stored; sensitive fields are masked unless you ask for them."""
    roles = {"case-reader", *(MAY_SEE_SENSITIVE if sensitive else ())}
    reader = replace(_writer(tenant), roles=frozenset(roles))

    async def work(settings: Settings, pool: asyncpg.Pool) -> bytes | Rejected:
        async with open_key_ring(settings, wait=False) as ring:
            async with tenants_transaction(pool, [tenant]) as conn:
                known = await _classes(conn)
                place = await commands.find_key(conn, reader, case, version=version)
            if place is not None:
                await ring.secrets([place])
            async with tenants_transaction(pool, [tenant]) as conn:
                found = await commands.read_case(conn, ring, reader, case, version=version, reason=reason)
        if isinstance(found, Rejected) or sensitive:
            return found if isinstance(found, Rejected) else found.text
        of_class = known.get(found.case.class_name)
        return masked(found.text, of_class.sensitive_paths if of_class else ("$",))

    found = operating.run(work)
    if isinstance(found, Rejected):
        raise operating.refuse(found)
    print(found.decode())


@app.command()
def versions(case: _Case, tenant: _Tenant, limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100) -> None:
    """The case's versions, newest first: who stored them and when, never what they say."""

    async def work(_: Settings, pool: asyncpg.Pool) -> list[dict[str, Any]]:
        async with tenants_transaction(pool, [tenant]) as conn:
            return (await reads.list_versions(conn, tenant, case, page_size=limit)).rows

    output.show_rows(operating.run(work))


@app.command()
def remove(case: _Case, tenant: _Tenant, expected_version: _Expected = None) -> None:
    """Store a removal: readers find the case gone, earlier versions stay."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> Outcome:
        command = RemoveCase(case_id=case, expected_version=expected_version)
        async with tenants_transaction(pool, [tenant]) as conn:
            return await commands.remove_case(conn, Outbox(settings.ce_source), _writer(tenant), command)

    _show(operating.run(work))


async def _classes(conn: Connection) -> KnownClasses:
    return await FollowedClasses(released_files()).read(conn)


def _writer(tenant: str) -> Caller:
    return Caller(tenant, operating.actor(), frozenset({"admin"}), "IMPORT")


def _show(outcome: Outcome) -> None:
    if isinstance(outcome, Rejected):
        raise operating.refuse(outcome)
    case = outcome.after if isinstance(outcome, Decided) else outcome.case
    output.show_rows([{"case": case.case_id, "class": case.class_name, "version": case.version, "removed": case.removed}])
