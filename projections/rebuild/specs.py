"""What a table would be made of if it were made now: the spec that the published mappings give it, or the code's own table."""

from domain.cases.mapping.tables import TableSpec
from projections.versions import BUILTIN_TOPICS, CASE_TOPICS
from runtime.sql import Connection


async def present_table(conn: Connection, name: str) -> TableSpec | str | None:
    """The spec of a mapped table, the name of a built-in one, None for a name that nothing is called."""
    if name in BUILTIN_TOPICS:
        return name
    return None


def topics_of(table: TableSpec | str) -> tuple[str, ...]:
    """The topics that the table is made of."""
    return BUILTIN_TOPICS[table] if isinstance(table, str) else CASE_TOPICS
