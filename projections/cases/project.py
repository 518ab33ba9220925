"""Document -> rows: what one snapshot is in one table version (CD-3, CD-4, CD-5, P6).

Pure and total: the same document gives the same rows, live or from the first offset, and no JSON document makes it raise.
Missing, null and not fitting are three outcomes, each with the column's own policy; what a policy calls an incident is a
`Problem` beside a row that is written all the same, its column null.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from domain.cases.conversions import ColumnType, Converter, TypeRefused, Unfit, converter
from domain.cases.mapping.tables import ChildSpec, ColumnSpec, Feed, TableSpec
from domain.cases.paths import MISSING, Path, PathExhausted, PathRefused, compile_path
from domain.cases.sensitivity import Sealer, blind_index, canonical, mask

MAX_CHILD_ROWS = 10_000


class Envelope(NamedTuple):
    """Of which case and version a document is."""

    tenant: str
    case_id: str
    class_name: str
    version: int
    subject_id: str


class Problem(NamedTuple):
    """A column that got no value, for the incident list: the reason is in words of ours, never a value."""

    column: str
    reason: str


class Rows(NamedTuple):
    """One snapshot's rows: mapped columns only, in the order of the spec; child rows begin with their position."""

    main: tuple[Any, ...]
    children: dict[str, list[tuple[Any, ...]]]
    problems: list[Problem]


class SpecRefused(Exception):
    """A table version's spec that lint would have refused: every problem at once, one to a line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Protection:
    """What sensitive columns need: the key of the blind index, and the function that seals under a subject's key."""

    hash_key: bytes
    seal: Sealer


def compile_projection(spec: TableSpec, protection: Protection | None = None) -> "Projection":
    """The projection of a table version's pinned spec. Raises SpecRefused."""
    problems: list[str] = []
    main = _plans(spec.name, spec.columns, spec.feeds, compile_path, protection, problems)
    children = {child.name: _child(child, protection, problems) for child in spec.children}
    if problems:
        raise SpecRefused(problems)
    return Projection(
        tuple(column.name for column in spec.columns),
        {child.name: tuple(column.name for column in child.columns) for child in spec.children},
        frozenset(spec.feeds),
        main,
        children,
    )


class Projection:
    """A table version's compiled mapping: `columns` and `children` as the spec orders them, `classes` that have rows."""

    def __init__(
        self,
        columns: tuple[str, ...],
        children: Mapping[str, tuple[str, ...]],
        classes: frozenset[str],
        main: "Mapping[str, _Plan]",
        plans: "Mapping[str, _Child]",
    ) -> None:
        self.columns, self.children, self.classes = columns, children, classes
        self._main, self._plans = main, plans
        self._blank = _Plan((None,) * len(columns), (), ())

    def rows(self, document: dict[str, Any], envelope: Envelope) -> Rows:
        """The rows of a snapshot; of a class without feeds, a row of nulls. Never raises."""
        problems: list[Problem] = []
        plan = self._main.get(envelope.class_name, self._blank)
        children = {name: child.rows(document, envelope, problems) for name, child in self._plans.items()}
        return Rows(plan.row(document, envelope, problems), children, problems)


@dataclass(frozen=True, slots=True)
class _Fate:
    """What becomes of a column without a value: for each outcome the value to take, and whether it is an incident."""

    column: str
    missing: tuple[Any, bool]
    null: tuple[Any, bool]
    error: tuple[Any, bool]

    def absent(self, value: Any, problems: list[Problem]) -> Any:
        taken, is_incident = self.missing if value is MISSING else self.null
        if is_incident:
            _note(problems, Problem(self.column, "missing" if value is MISSING else "null"))
        return taken

    def unfit(self, unfit: Unfit, problems: list[Problem]) -> Any:
        taken, is_incident = self.error
        if is_incident:
            _note(problems, Problem(self.column, unfit.reason))
        return taken


def _note(problems: list[Problem], problem: Problem) -> None:
    # Ten thousand child rows with the same fault are one problem.
    if problem not in problems:
        problems.append(problem)


# The column's place, the name to look up or else the path to read, the conversion, and what becomes of no value.
_Fill = tuple[int, str | None, Callable[[Any], Any], Converter, _Fate]
_Protect = Callable[[Any, Envelope], Any]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one class fills one table: a row of nulls, what fills it, and which columns are protected then."""

    blank: tuple[Any, ...]
    fills: tuple[_Fill, ...]
    protects: tuple[tuple[int, _Protect], ...]

    def row(self, document: Any, envelope: Envelope, problems: list[Problem]) -> tuple[Any, ...]:
        row = list(self.blank)
        look_up = document.get if type(document) is dict else _find_nothing
        for at, name, read, convert, fate in self.fills:
            value = look_up(name, MISSING) if name is not None else read(document)
            if value is None or value is MISSING:
                row[at] = fate.absent(value, problems)
            elif type(value := convert(value)) is Unfit:
                row[at] = fate.unfit(value, problems)
            else:
                row[at] = value
        for at, protect in self.protects:
            if row[at] is not None:
                row[at] = protect(row[at], envelope)
        return tuple(row)


def _find_nothing(_name: str, missing: Any) -> Any:
    return missing


@dataclass(frozen=True, slots=True)
class _Child:
    """A child table: where its elements are, and how each class fills a row from one."""

    name: str
    elements: Callable[[Any], Any]
    plans: Mapping[str, _Plan]

    def rows(self, document: Any, envelope: Envelope, problems: list[Problem]) -> list[tuple[Any, ...]]:
        plan = self.plans.get(envelope.class_name)
        if plan is None:
            return []
        found = self.elements(document)
        # `[*]` of an object is its members' values; of a text or a number it is nothing.
        elements = found if type(found) is list else list(found.values()) if type(found) is dict else []
        if len(elements) > MAX_CHILD_ROWS:
            _note(problems, Problem(self.name, f"more than {MAX_CHILD_ROWS} elements, so none is taken"))
            return []
        return [(at, *plan.row(element, envelope, problems)) for at, element in enumerate(elements)]


def _child(child: ChildSpec, protection: Protection | None, problems: list[str]) -> _Child:
    prefix, elements = None, compile_path("$").read
    try:
        prefix, elements = compile_path(child.prefix + "[*]").child_prefix, compile_path(child.prefix).read
    except PathRefused as refused:
        problems.append(f"{child.name}: prefix {child.prefix}: {refused}")

    def compile_element(text: str) -> Path:
        path = compile_path(text)
        if path.element is None or path.child_prefix != prefix:
            raise PathRefused("not a path of this child table", 0, f"write {child.prefix}[*] and what follows in the element")
        return compile_path(path.element)

    plans = _plans(child.name, child.columns, child.feeds, compile_element, protection, problems)
    return _Child(child.name, elements, plans)


def _plans(
    table: str,
    columns: tuple[ColumnSpec, ...],
    feeds: Mapping[str, tuple[Feed, ...]],
    compile_feed: Callable[[str], Path],
    protection: Protection | None,
    problems: list[str],
) -> dict[str, _Plan]:
    places = {column.name: at for at, column in enumerate(columns)}
    protects = list(_protects(table, columns, protection, problems))

    def fills(feeds: Iterable[Feed]) -> Iterable[_Fill]:
        for feed in feeds:
            try:
                at = places[feed.column]
                yield (at, *_fill(columns[at], feed, compile_feed(feed.path)))
            except (KeyError, ValueError, PathRefused, TypeRefused) as error:
                problems.append(f"{table}.{feed.column}: {error}")

    return {name: _Plan((None,) * len(columns), tuple(fills(feeds[name])), tuple(protects)) for name in feeds}


def _fill(column: ColumnSpec, feed: Feed, path: Path) -> tuple[str | None, Callable[[Any], Any], Converter, _Fate]:
    kind = ColumnType.parse(column.type)
    convert, default = converter(kind), None
    if path.many and not kind.takes_many:
        raise ValueError(f"{path.text} gives many values: the type must be jsonb, or the path one [*] of a child table")
    if feed.default is not None and type(default := convert(feed.default)) is Unfit:
        raise ValueError(f"the default does not fit {kind.sql}: {default.reason}")
    fates = {"null": (None, False), "default": (default, False), "incident": (None, True)}
    fate = _Fate(feed.column, fates[feed.on_missing], fates[feed.on_null], fates[feed.on_error])
    if path.many:
        return None, partial(_read_many, path.read), partial(_convert_many, convert), fate
    return path.name, path.read, convert, fate


def _read_many(read: Callable[[Any], Any], document: Any) -> Any:
    try:
        return read(document)
    except PathExhausted as exhausted:
        return Unfit(str(exhausted))


def _convert_many(convert: Converter, values: Any) -> Any:
    return values if type(values) is Unfit else convert(values)


def _protects(
    table: str, columns: tuple[ColumnSpec, ...], protection: Protection | None, problems: list[str]
) -> Iterable[tuple[int, _Protect]]:
    for at, column in enumerate(columns):
        if column.sensitivity == "mask":
            yield at, _masked
        elif column.sensitivity != "none" and protection is None:
            problems.append(f"{table}.{column.name}: {column.sensitivity} needs keys, and this process has none")
        elif column.sensitivity == "hash" and protection is not None:
            yield at, partial(_hashed, protection.hash_key)
        elif column.sensitivity == "encrypt" and protection is not None:
            yield at, partial(_sealed, protection.seal, column.name)


def _masked(value: Any, envelope: Envelope) -> str:
    return mask(value)


def _hashed(key: bytes, value: Any, envelope: Envelope) -> str:
    return blind_index(key, envelope.tenant, value)


def _sealed(seal: Sealer, column: str, value: Any, envelope: Envelope) -> bytes:
    tenant, case_id, _, version, subject = envelope
    return seal(tenant, subject, case_id, version, column, canonical(value).encode())
