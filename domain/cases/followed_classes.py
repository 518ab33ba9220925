"""The classes that may have cases as they are now: files of the release, overlaid by published rows."""

from domain.cases.known_classes import KnownClasses, known_classes
from domain.cases.mapping.model import Graph
from domain.cases.mapping_store import FollowedGraph
from runtime.sql import Connection


class FollowedClasses:
    """Known classes, worked out again when a mapping was published or disabled. One per process."""

    def __init__(self, files: Graph) -> None:
        self._graph = FollowedGraph(files)
        self._known: tuple[int, KnownClasses] | None = None

    @property
    def kept(self) -> KnownClasses:
        """The classes as they were when they were last read; none before the first time."""
        return self._known[1] if self._known else {}

    async def read(self, conn: Connection) -> KnownClasses:
        """The classes; one small look-up while nothing changes."""
        number, graph = await self._graph.read(conn)
        if self._known is None or self._known[0] != number:
            self._known = (number, known_classes(graph))
        return self._known[1]
