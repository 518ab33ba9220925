"""What another set of definitions would change: by table and column, and which tables must be rebuilt."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from domain.cases.mapping.specs import ChildSpec, ColumnSpec, Feeds, TableSpec

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """A column, or a whole table when `column` is None. `before` and `after` hold what differs, by word."""

    kind: Kind
    table: str
    column: str | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def changes(old: Iterable[TableSpec], new: Iterable[TableSpec]) -> list[Change]:
    """Every difference that alters rows; each table in it is a new version. Places and comments are none."""
    return list(_of_tables(_flat(old), _flat(new)))


def _flat(specs: Iterable[TableSpec]) -> dict[str, TableSpec | ChildSpec]:
    tables: list[TableSpec | ChildSpec] = []
    for spec in specs:
        tables += [spec, *spec.children]
    return {table.name: table for table in tables}


def _of_tables(old: Mapping[str, TableSpec | ChildSpec], new: Mapping[str, TableSpec | ChildSpec]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            yield Change("removed" if after is None else "added", name, None, {}, {})
        else:
            yield from _of_columns(name, _columns(before), _columns(after))


def _of_columns(table: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in [*new, *(name for name in old if name not in new)]:
        before, after = old.get(name, {}), new.get(name, {})
        words = sorted(word for word in before.keys() | after.keys() if before.get(word) != after.get(word))
        if words:
            kind: Kind = "changed" if before and after else "added" if after else "removed"
            yield Change(
                kind,
                table,
                name,
                {word: before[word] for word in words if word in before},
                {word: after[word] for word in words if word in after},
            )


def _columns(table: TableSpec | ChildSpec) -> dict[str, dict[str, Any]]:
    """Column -> everything that decides its values; of one class the feed's words, of several by class."""
    found = {column.name: _said(column) for column in table.columns}
    for class_name, column, words in _fed(table.feeds):
        found[column] |= words if len(table.feeds) == 1 else {f"{class_name} {word}": value for word, value in words.items()}
    return found


def _said(column: ColumnSpec) -> dict[str, Any]:
    return {"type": column.type, "sensitivity": column.sensitivity}


def _fed(feeds: Feeds) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for class_name in sorted(feeds):
        for feed in feeds[class_name]:
            words = asdict(feed)
            del words["column"], words["provenance"]
            yield class_name, feed.column, words
