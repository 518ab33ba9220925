"""Which versions of which tables there are: the registry's lines, made real by `casestream db migrate`.

A version is a table of its own, a consumer group of its own and a dead letter topic of its own; one line of
`schemas.registry.PROJECTION_VERSIONS` gives all three. Only the owner role creates tables.
"""

from collections.abc import Iterable

from runtime.sql import Connection, load_queries
from schemas.registry import PROJECTION_VERSIONS

queries = load_queries(__file__)


async def create_missing_versions(conn: Connection, versions: Iterable[tuple[str, int]] | None = None) -> list[str]:
    """Create the tables of versions that are not there yet, empty, with the first version's columns and rights."""
    registered = [(table, number) for table, number, _ in PROJECTION_VERSIONS.values()]
    return [
        f"{table}__v{number}"
        for table, number in (registered if versions is None else versions)
        if await queries.create_table_version(conn, table_name=table, version=number)
    ]
