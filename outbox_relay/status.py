"""What an operator sees of the relay, and the one thing that may be set right by hand: the floors after a restore.

Reads and writes `relay_shards` only; publishes and deletes nothing.
"""

from typing import Any

from runtime.sql import Connection, load_queries

queries = load_queries(__file__)

_COUNT_BOUND = 1_000_000


async def list_shards(conn: Connection) -> list[Any]:
    """Per shard: owner, term, floor, seconds left of the lease, unsent rows, age in seconds of the oldest."""
    return await queries.list_shards(conn, bound=_COUNT_BOUND)  # type: ignore[no-any-return]


async def rows_below_floor(conn: Connection) -> dict[int, int]:
    """Rows per shard that no poll would ever find; empty unless the sequence was reset or the database restored."""
    return {row["shard"]: row["rows"] for row in await queries.find_rows_below_floor(conn)}


async def reset_floors(conn: Connection) -> int:
    """Every floor to 0, under new terms, so that running relays read them again. Returns the number of shards."""
    return len(await queries.reset_floors(conn))
