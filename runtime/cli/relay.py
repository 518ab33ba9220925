"""`casestream relay`: who relays which shard, and the floors after a restore."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from outbox_relay import status as relay
from runtime.cli import output
from runtime.postgres import open_pool
from runtime.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The outbox relay's shards.")


@app.command()
def status() -> None:
    """Per shard: owner, term, floor, unsent rows, age of the oldest."""
    output.show_rows([_shown(row) for row in _ask(relay.list_shards)])


@app.command("reset-floor")
def reset_floor(
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without it only say what would change.")] = False,
) -> None:
    """Set every floor to 0: after a restore, a failover to a copy that lags, or a reset of the outbox's sequence.

    Safe at any time and while relays run: a low floor costs a slower poll, never an event.
    """
    hidden = _ask(relay.rows_below_floor)
    output.show_record({"shards": len(_ask(relay.list_shards)), "rows_below_their_floor": sum(hidden.values())})
    if execute:
        output.remark(f"{_ask(relay.reset_floors)} floors are 0 now; running relays take their shards again")
    else:
        output.remark("dry run: nothing was changed; add --execute to set the floors to 0")


def _ask(question: Callable[[Any], Awaitable[Any]]) -> Any:
    async def ask() -> Any:
        pool = await open_pool(Settings.load(), "scan", size=1, wait=False)
        try:
            async with pool.acquire() as conn:
                return await question(conn)
        finally:
            pool.terminate()

    return asyncio.run(ask())


def _shown(row: Any) -> dict[str, Any]:
    oldest = row["oldest_seconds"]
    return {
        "shard": row["shard"],
        "owner": row["owner"] or None,
        "term": row["term"],
        "lease_seconds": round(row["lease_seconds"], 1),
        "floor": row["floor"],
        "unsent": row["unsent"],
        "oldest_unsent_seconds": None if oldest is None else round(oldest, 3),
    }
