"""Circles of parents and mixins (CD-9): each is reported once, wherever one begins to look."""

from collections.abc import Iterable, Iterator

from domain.cases.mapping.model import ClassDefinition, Diagnostic, Graph


def cycles(graph: Graph, roots: Iterable[str]) -> list[Diagnostic]:
    """The circles that can be reached from `roots`; without the edge that closes each of them there are none.

    Depth first without recursion: an edge to a class on the path behind us closes a circle.
    """
    found: dict[tuple[str, ...], Diagnostic] = {}
    finished: set[str] = set()
    for root in sorted(roots):
        path: dict[str, Iterator[str]] = {}
        ahead: str | None = root
        while ahead or path:
            if ahead and ahead in graph and ahead not in finished:
                if ahead in path:
                    names = list(path)
                    circle = _from_its_first_name(names[names.index(ahead) :])
                    found.setdefault(circle, _diagnostic(graph, circle))
                else:
                    path[ahead] = iter(_extends(graph[ahead]))
            ahead = None
            if path:
                here = next(reversed(path))
                ahead = next(path[here], None)
                if ahead is None:
                    path.pop(here)
                    finished.add(here)
    return list(found.values())


def _extends(definition: ClassDefinition) -> list[str]:
    return [*([definition.parent] if definition.parent else []), *definition.mixins]


def _from_its_first_name(circle: list[str]) -> tuple[str, ...]:
    """The same circle from whichever class it was found."""
    first = circle.index(min(circle))
    return (*circle[first:], *circle[:first])


def _diagnostic(graph: Graph, circle: tuple[str, ...]) -> Diagnostic:
    places = ", ".join(f"{name} at {graph[name].source.source_location}" for name in circle)
    message = f"{' > '.join((*circle, circle[0]))} is a circle ({places})"
    return Diagnostic("error", "cycle", circle[0], None, message, graph[circle[0]].source.source_location)
