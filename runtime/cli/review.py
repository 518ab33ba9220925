"""`casestream review list | show | approve | reject | return`: review tasks of onboarding (IN-9).

The person at the terminal decides as admin: of any group, also what somebody else has claimed. Claims are made at the API, by
users of the directory.
"""

from typing import Annotated, Any

import typer

from domain.onboarding import review_tasks
from runtime.cli import output
from runtime.cli.instance import Reason
from runtime.cli.instance_orders import give, terminal, told
from runtime.cli.rule_access import OfTenant, within
from runtime.settings import Settings
from runtime.sql import Connection
from schemas.errors import PermanentError, Rejected
from schemas.onboarding import Decision

app = typer.Typer(no_args_is_help=True, help="Review tasks of onboarding: list, show, approve, reject, return.")

Item = Annotated[str, typer.Argument(metavar="WORK_ITEM", help="The id of the task's work item.")]
_LISTED = ("work_item_id", "instance_id", "task", "flow", "current_state", "opened_at", "item_status", "assignee_id")


@app.command("list")
def list_tasks(
    tenant: OfTenant,
    group: Annotated[str, typer.Option(help="The group whose queue it is.")],
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """Open tasks, oldest first."""
    rows = within(tenant, lambda conn, _: review_tasks.list_queue(conn, terminal(tenant), group=group, size=limit))
    if isinstance(rows, Rejected):
        raise PermanentError(rows.message)
    output.show_rows(rows, columns=_LISTED)


@app.command("show")
def show(item: Item, tenant: OfTenant) -> None:
    """One task, without anything about the person."""

    async def work(conn: Connection, _: Settings) -> dict[str, Any]:
        return (await review_tasks.find_task(conn, tenant, item)).row

    output.show_record(within(tenant, work))


@app.command("approve")
def approve(item: Item, tenant: OfTenant, reason: Annotated[str | None, typer.Option(help="Why.")] = None) -> None:
    """Yes, and the journey goes on."""
    _decide(tenant, item, "approve", reason)


@app.command("reject")
def reject(item: Item, tenant: OfTenant, reason: Reason) -> None:
    """No."""
    _decide(tenant, item, "reject", reason)


@app.command("return")
def return_(item: Item, tenant: OfTenant, reason: Reason) -> None:
    """Back to the person."""
    _decide(tenant, item, "return", reason)


def _decide(tenant: str, item: str, decision: Decision, reason: str | None) -> None:
    told(
        give(
            tenant,
            lambda conn, engine: review_tasks.decide(conn, engine, terminal(tenant), item, decision, reason=reason),
        )
    )
