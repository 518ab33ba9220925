"""What a table would be made of if it were made now: the spec that the published mappings give it, or the code's own table."""

from domain.cases.mapping.tables import MAX_COLUMNS, TableSpec, table_specs
from domain.cases.mapping_store import load_graph, released_files
from projections.versions import BUILTIN_TOPICS, CASE_TOPICS
from runtime.sql import Connection
from schemas.errors import ConfigurationError


async def present_table(conn: Connection, name: str, max_columns: int = MAX_COLUMNS) -> TableSpec | str | None:
    """The spec of a mapped table, the name of a built-in one, None for a name that nothing is called.

    Raises ConfigurationError with everything that is wrong with the mappings: no table is made of half a graph.
    """
    if name in BUILTIN_TOPICS:
        return name
    specs, diagnostics = table_specs(await load_graph(conn, released_files()), max_columns=max_columns)
    if errors := [str(one) for one in diagnostics if one.severity == "error"]:
        raise ConfigurationError(errors)
    return next((spec for spec in specs if spec.name == name), None)


def topics_of(table: TableSpec | str) -> tuple[str, ...]:
    """The topics that the table is made of."""
    return BUILTIN_TOPICS[table] if isinstance(table, str) else CASE_TOPICS
