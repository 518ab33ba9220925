"""The graph of classes that counts: the files of the release, overlaid by the latest enabled row of each class (trap 81).

A process that needs it keeps a `FollowedGraph`, which reads one number each time it is asked and loads again when that changed:
asked once a second, it follows a publication within a second.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from domain.cases.mapping import files as mapping_files
from domain.cases.mapping.graph import graph_of, overlay
from domain.cases.mapping.model import ClassDefinition, Graph, StoredDefinition
from domain.cases.mapping_store.reading import MODULE, read_body
from runtime.sql import Connection, load_queries
from schemas.errors import ConfigurationError

queries = load_queries(Path(__file__).with_name("store.sql"))


@cache
def released_files() -> Graph:
    """The classes under definitions/cases of this release. What is wrong with them is for `casestream mapping lint`."""
    definitions, _ = mapping_files.read_directory()
    return graph_of(definitions)[0]


async def generation(conn: Connection) -> int:
    """Raised by each publication and each disabling."""
    number: int = await queries.read_generation(conn)
    return number


async def load_graph(conn: Connection, files: Graph, *, without: tuple[str, int] | None = None) -> dict[str, ClassDefinition]:
    """Files overlaid by rows, as if the version `without` (class, number) were disabled.

    Raises ConfigurationError naming each enabled row that this release cannot read.
    """
    name, version = without or (None, None)
    return overlay(files, _stored(files, await queries.list_enabled(conn, without_class=name, without_version=version)))


class FollowedGraph:
    """The graph, loaded again when a mapping was published or disabled."""

    def __init__(self, files: Graph) -> None:
        self._files = files
        self._known: tuple[int, dict[str, ClassDefinition]] | None = None

    async def read(self, conn: Connection) -> tuple[int, dict[str, ClassDefinition]]:
        """The generation, and the graph that is at least as new."""
        number = await generation(conn)
        if self._known is None or self._known[0] != number:
            self._known = (number, await load_graph(conn, self._files))
        return self._known


def module_of(files: Graph, class_name: str) -> str:
    """A row that names no module belongs to that of the file's class which it replaces."""
    return files[class_name].module if class_name in files else MODULE


def _stored(files: Graph, rows: Iterable[Any]) -> list[StoredDefinition]:
    stored, unreadable = [], []
    for row in rows:
        name, version = row["class_name"], row["version"]
        definition, problems = read_body(json.loads(row["body"]), version, module_of(files, name))
        if definition is None or problems:
            unreadable.append(
                f"mapping {name} version {version}: this release cannot read it ({problems[0].message} at"
                f" {problems[0].pointer or '/'}); `casestream mapping disable {name}` and publish it anew"
            )
        else:
            stored.append(StoredDefinition(definition, version, enabled=True))
    if unreadable:
        raise ConfigurationError(unreadable)
    return stored
