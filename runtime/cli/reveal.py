"""`casestream mapping reveal`: what a column with `sensitivity: encrypt` holds of one case.

The values are of a person, so nothing is shown before the audit log has who asked and why: both commit before the first line.
"""

from typing import Annotated, Any

import asyncpg
import typer

from domain.audit import append
from projections.cases.revealing import find_sealed, reveal
from runtime.cli import operating, output
from runtime.keys.ring import open_key_ring
from runtime.postgres import tenants_transaction
from runtime.settings import Settings
from schemas.errors import Rejected


def reveal_column(
    view: Annotated[str, typer.Argument(metavar="TABLE", help="As in schema analytics, such as case_plain_order_case.")],
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="A column with `sensitivity: encrypt`.")],
    case: Annotated[str, typer.Option(help="The case whose value is shown.")],
    tenant: Annotated[str, typer.Option(help="The case's tenant.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log with your name.")],
) -> None:
    """Open what an encrypted column holds of one case; one line per row of a child table."""

    async def work(settings: Settings, pool: asyncpg.Pool) -> list[dict[str, Any]] | Rejected:
        async with tenants_transaction(pool, [tenant]) as conn:
            found = await find_sealed(conn, view, column, tenant, case)
        if isinstance(found, Rejected):
            return found
        async with open_key_ring(settings, wait=False) as ring:
            # Before the transaction that others may wait for.
            secrets = await ring.secrets([value.key for value in found if value.key is not None])
            async with tenants_transaction(pool, [tenant]) as conn:
                shown = await reveal(conn, found, secrets)
                if isinstance(shown, Rejected):
                    return shown
                await append(
                    conn,
                    tenant_id=tenant,
                    actor=operating.actor(),
                    action="case.column-revealed",
                    object_type="case",
                    object_id=case,
                    reason=reason,
                    detail={"table": view, "column": column, "rows": len(shown)},
                )
        return [{"case": case, "position": position, column: value} for position, value in shown]

    rows = operating.run(work)
    if isinstance(rows, Rejected):
        raise operating.refuse(rows)
    output.show_rows(rows)
    if not rows:
        output.remark(f"{view} has no row of case {case}: there is none, or it was removed or erased")
