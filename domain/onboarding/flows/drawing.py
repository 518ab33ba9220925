"""A flow as one SVG picture that needs nothing else: states in rows by their distance from the first one, arrows between them.

Made for screens of the console and for documents. Colors are classes, so that a page may choose its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from domain.onboarding.flows.graph import Arrow, arrows, notes
from schemas.flows import FlowDefinition, State

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 190, 46, 150, 74, 30
_STYLE = """
    .state { fill: #eef3fb; stroke: #33517e; } .completed { fill: #e3f4e6; stroke: #2d7a3e; }
    .rejected { fill: #fbe7e7; stroke: #a33333; } .review { fill: #fdf5dd; stroke: #9a7b16; }
    text { font: 12px sans-serif; fill: #1c2430; text-anchor: middle; } .note, .label { font-size: 9px; fill: #556; }
    path { fill: none; stroke: #556; } .failing { stroke: #a33333; stroke-dasharray: 4 3; }
"""

_TIP = """  <defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">
    <polygon points="0,0 8,4 0,8"/></marker></defs>"""


@dataclass(frozen=True, slots=True)
class _Box:
    """A state's place; `x` and `y` of its middle."""

    x: int
    y: int


def as_svg(definition: FlowDefinition) -> str:
    """The picture's text."""
    boxes = _boxes(definition)
    width = max(box.x for box in boxes.values()) + _WIDTH // 2 + _MARGIN + 60
    height = max(box.y for box in boxes.values()) + _HEIGHT // 2 + _MARGIN
    said = dict(notes(definition))
    title = escape(f"{definition.flow} version {definition.version}")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">',
        f"  <title>{title}</title>",
        f"  <style>{_STYLE}  </style>",
        _TIP,
    ]
    drawn: dict[tuple[str, str], int] = {}
    for arrow in arrows(definition):
        if arrow.source in boxes and arrow.target in boxes:
            number = drawn[arrow.source, arrow.target] = drawn.get((arrow.source, arrow.target), -1) + 1
            lines += _arrow(arrow, boxes[arrow.source], boxes[arrow.target], number)
    for state in definition.states:
        lines += _state(state, boxes[state.name], said.get(state.name, ""))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _boxes(definition: FlowDefinition) -> Mapping[str, _Box]:
    rows: dict[int, list[str]] = {}
    distances = _distances(definition)
    last = max(distances.values(), default=0) + 1
    for state in definition.states:
        # Ends stand below everything, where a reader looks for them.
        row = last if state.end is not None else distances.get(state.name, last)
        rows.setdefault(row, []).append(state.name)
    return {
        name: _Box(_MARGIN + _WIDTH // 2 + place * (_WIDTH + _GAP_X), _MARGIN + _HEIGHT // 2 + number * (_HEIGHT + _GAP_Y))
        for number, row in enumerate(sorted(rows))
        for place, name in enumerate(rows[row])
    }


def _distances(definition: FlowDefinition) -> dict[str, int]:
    following: dict[str, list[str]] = {}
    for arrow in arrows(definition):
        following.setdefault(arrow.source, []).append(arrow.target)
    distances, pending = {definition.initial: 0}, [definition.initial]
    for name in pending:
        for target in following.get(name, ()):
            if target not in distances:
                distances[target] = distances[name] + 1
                pending.append(target)
    return distances


def _state(state: State, box: _Box, said: str) -> Iterator[str]:
    kind = state.end or ("review" if state.review is not None else "state")
    left, top = box.x - _WIDTH // 2, box.y - _HEIGHT // 2
    yield f'  <rect class="{kind}" x="{left}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
    yield f'  <text x="{box.x}" y="{box.y - 2 if said else box.y + 4}">{escape(state.name)}</text>'
    if said:
        yield f'  <text class="note" x="{box.x}" y="{box.y + 13}">{escape(said)}</text>'


def _arrow(arrow: Arrow, source: _Box, target: _Box, number: int) -> Iterator[str]:
    kind = ' class="failing"' if arrow.failing else ""
    side = 26 * number
    if target.y > source.y:
        start, end = (source.x + side, source.y + _HEIGHT // 2), (target.x + side, target.y - _HEIGHT // 2)
        middle = (start[1] + end[1]) // 2
        curve = f"M{start[0]} {start[1]} C{start[0]} {middle} {end[0]} {middle} {end[0]} {end[1]}"
        label = ((start[0] + end[0]) // 2, middle - 2 + 10 * number)
    else:
        # Back, or to itself: round the right side.
        right = max(source.x, target.x) + _WIDTH // 2
        out = right + 40 + side
        start, end = (source.x + _WIDTH // 2, source.y), (target.x + _WIDTH // 2, target.y - 8 * (source.y == target.y))
        curve = f"M{start[0]} {start[1]} C{out} {start[1]} {out} {end[1]} {end[0]} {end[1]}"
        label = (out - 6, (start[1] + end[1]) // 2)
    yield f'  <path{kind} d="{curve}" marker-end="url(#tip)"/>'
    yield f'  <text class="label" x="{label[0]}" y="{label[1]}">{escape(arrow.label)}</text>'
