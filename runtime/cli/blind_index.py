"""`casestream mapping blind-index`: what stands for a value in columns with `sensitivity: hash`, to look it up.

Whoever may ask for many values can find out what a column holds, so it is no function of the database and no route: an
operator asks, with a reason, and the audit log has a row. The value is read from stdin: it shows in no process list.
"""

import sys
from typing import Annotated

import asyncpg
import typer

from domain.audit import append
from domain.cases.conversions import ColumnType, TypeRefused, Unfit, converter
from domain.cases.sensitivity import blind_index
from projections.cases.opening import hash_key_of
from runtime.cli import operating, output
from runtime.postgres import tenants_transaction
from runtime.settings import Settings
from schemas.errors import ConfigurationError, Rejected


def look_up(
    tenant: Annotated[str, typer.Option(help="Whose rows are looked up; another tenant's hash of the value is another.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")],
    column_type: Annotated[
        str, typer.Option("--type", help="The mapping's type, such as 'date': it says when values are equal.")
    ] = "text",
) -> None:
    """Read a value from stdin and print what columns with `sensitivity: hash` keep for it: an analyst's exact look-up."""
    text = sys.stdin.read().removesuffix("\n")

    async def work(settings: Settings, pool: asyncpg.Pool) -> str:
        found = _hashed(settings, tenant, column_type, text)
        async with tenants_transaction(pool, [tenant]) as conn:
            await append(
                conn,
                tenant_id=tenant,
                actor=operating.actor(),
                action="mapping.blind-index",
                object_type="column_type",
                object_id=column_type,
                reason=reason,
            )
        return found

    output.show_record({"tenant": tenant, "type": column_type, "hash": operating.run(work)})


def _hashed(settings: Settings, tenant: str, column_type: str, text: str) -> str:
    key = hash_key_of(settings)
    if key is None:
        raise ConfigurationError(["CASESTREAM_KEYS__BLIND_INDEX_KEY is not set: give this process the projectors' key"])
    try:
        value = converter(ColumnType.parse(column_type))(text)
    except TypeRefused as refused:
        raise operating.refuse(Rejected("TypeRefused", str(refused))) from None
    if isinstance(value, Unfit):
        raise operating.refuse(Rejected("ValueRefused", f"not a value of {column_type}: {value.reason}"))
    return blind_index(key, tenant, value)
