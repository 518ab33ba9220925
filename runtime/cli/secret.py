"""`casestream secret set | list | remove`: secrets of a tenant from the command line, as cs_worker.

A value comes from a prompt or from stdin, never from the command line, which other users of the machine can see.
"""

import getpass
import os
import re
import sys
from typing import Annotated

import asyncpg
import typer

from domain.secrets import commands, reads
from domain.secrets.naming import LONGEST_VALUE, NAME, VALUE, as_signing_secret
from runtime.cli import operating, output
from runtime.keys.ring import open_key_ring
from runtime.postgres import tenants_transaction
from runtime.settings import Settings
from schemas.errors import ConfigurationError, Rejected

app = typer.Typer(no_args_is_help=True, help="Secrets that a tenant's webhooks use.")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="As rules write it: {{secret:NAME}}.")]
_Tenant = Annotated[str, typer.Option(help="The tenant.")]
_KEY_BYTES = 32
_PAGE = 1_000


@app.command("set")
def set_secret(
    name: _Name,
    tenant: _Tenant,
    generate: Annotated[
        bool, typer.Option("--generate", help="Draw a signing secret (whsec_...) and print it: the receiver needs it.")
    ] = False,
    previous_lives: Annotated[
        int, typer.Option(min=0, max=30 * 86_400, help="Seconds for which the value before stays good; 0: it is compromised.")
    ] = commands.PREVIOUS_LIVES_SECONDS,
) -> None:
    """Put a value, from a prompt or stdin; again for the next one, while the one before lives on."""
    if not re.fullmatch(NAME, name):
        raise ConfigurationError([f"NAME={name}: expected a letter followed by letters, digits and _"])
    value = as_signing_secret(os.urandom(_KEY_BYTES)) if generate else _ask_value(name)

    async def work(settings: Settings, pool: asyncpg.Pool) -> int | Rejected:
        async with open_key_ring(settings, wait=False) as ring, tenants_transaction(pool, [tenant]) as conn:
            return await commands.put_secret(
                conn, ring, tenant, name, value, actor=operating.actor(), previous_lives_seconds=previous_lives
            )

    try:
        version = operating.run(work)
    except asyncpg.ForeignKeyViolationError:
        raise ConfigurationError([f"--tenant {tenant}: there is none of this name; add it first"]) from None
    if isinstance(version, Rejected):
        raise operating.refuse(version)
    output.show_record({"name": name, "version": version, **({"value": value} if generate else {})})


@app.command("list")
def list_secrets(tenant: _Tenant) -> None:
    """Names, versions, who and when; values are never shown."""

    async def work(_: Settings, pool: asyncpg.Pool) -> list[dict[str, object]]:
        async with tenants_transaction(pool, [tenant]) as conn:
            return await reads.list_secrets(conn, tenant, page_size=_PAGE)

    output.show_rows(operating.run(work))


@app.command("remove")
def remove_secret(name: _Name, tenant: _Tenant) -> None:
    """Remove a secret with its values; webhooks that name it fail from now on."""

    async def work(_: Settings, pool: asyncpg.Pool) -> None:
        async with tenants_transaction(pool, [tenant]) as conn:
            await commands.remove_secret(conn, tenant, name, actor=operating.actor())

    operating.run(work)
    output.show_record({"name": name, "removed": True})


def _ask_value(name: str) -> str:
    value = getpass.getpass(f"Value of {name}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
    if not re.fullmatch(VALUE, value) or len(value) > LONGEST_VALUE:
        # Never the value itself.
        raise ConfigurationError([f"the value: expected 1 to {LONGEST_VALUE} printable characters of ASCII in one line"])
    return value
