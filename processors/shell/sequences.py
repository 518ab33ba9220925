"""The general store of last applied numbers: table `applied_sequences`. A group whose own rows hold them has its own."""

from collections.abc import Mapping, Sequence

from processors.shell.messages import Aggregate
from runtime.sql import Connection, load_queries
from schemas.errors import TransientError

queries = load_queries(__file__, "shell.sql")


class AppliedSequences:
    """A `SequenceStore` for groups that keep no row per aggregate."""

    async def last_applied(self, conn: Connection, group: str, aggregates: Sequence[Aggregate]) -> dict[Aggregate, int]:
        """The last applied number of each known aggregate."""
        rows = await queries.find_sequences(conn, group_name=group, **columns_of(aggregates))
        return {Aggregate(row["tenant_id"], row["source"], row["topic"], row["aggregate"]): row["sequence"] for row in rows}

    async def record(self, conn: Connection, group: str, applied: Mapping[Aggregate, int]) -> None:
        """Store the new last numbers. Raises TransientError when somebody else applied one of them meanwhile."""
        written = await queries.upsert_sequences(
            conn, group_name=group, **columns_of(list(applied)), sequences=list(applied.values())
        )
        if written != len(applied):
            # The same numbers lie in two partitions: whoever comes second takes the batch again and sees them.
            raise TransientError("a number was applied by another member meanwhile: the batch repeats")


def columns_of(aggregates: Sequence[Aggregate]) -> dict[str, list[str]]:
    """Array parameters that name the aggregates."""
    return {
        "tenant_ids": [aggregate.tenant_id for aggregate in aggregates],
        "sources": [aggregate.source for aggregate in aggregates],
        "topics": [aggregate.topic for aggregate in aggregates],
        "aggregates": [aggregate.aggregate for aggregate in aggregates],
    }
