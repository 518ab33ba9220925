"""Which columns of two versions of a table must have equal values: those whose resolved mapping is the same. Pure.

Compared per class: `case_work` is fed by many classes, and a mapping that changed for one of them changed for no other.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.cases.mapping.tables import ChildSpec, ColumnSpec, Feeds, TableSpec

CLASS_PATH = "$.className"
# A built-in table is fed by no class: its columns are the code's.
ANY_CLASS = ""


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """A column: its type, whether its values may be shown, and per class a fingerprint of how it is filled."""

    type: str
    sensitivity: str
    mappings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ChildShape:
    """A child table's name without version, and its columns."""

    name: str
    columns: Mapping[str, ColumnShape]


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table version as the comparison sees it. `class_column` names the row's class, where a column holds it."""

    name: str
    version: int
    columns: Mapping[str, ColumnShape]
    classes: frozenset[str]
    class_column: str | None = None
    children: tuple[ChildShape, ...] = ()
    keys: tuple[str, str] = ("tenant_id", "case_id")
    version_column: str = "snapshot_version"
    tombstone_column: str | None = "tombstone"

    @property
    def table(self) -> str:
        """The table's own name, in schema `projections`."""
        return f"{self.name}__v{self.version}"


def shape_of_spec(spec: TableSpec, version: int) -> TableShape:
    """The shape of a version that pins this spec."""
    classes = frozenset(spec.feeds)
    columns = _columns(spec.columns, spec.feeds, classes)
    children = tuple(ChildShape(child.name, _child_columns(child, classes)) for child in spec.children)
    return TableShape(spec.name, version, columns, classes, _class_column(spec), children)


def shape_of_builtin(
    name: str, version: int, columns: Mapping[str, str], key: str = "work_item_id", number: str = "ce_sequence"
) -> TableShape:
    """The shape of a built-in table from its columns and their types: the code's own, so all of them are comparable."""
    plain = {
        column: ColumnShape(kind, "none", {ANY_CLASS: "code"})
        for column, kind in columns.items()
        if column not in ("tenant_id", key, number)
    }
    return TableShape(
        name,
        version,
        plain,
        frozenset({ANY_CLASS}),
        keys=("tenant_id", key),
        version_column=number,
        tombstone_column=None,
    )


def _child_columns(child: ChildSpec, classes: frozenset[str]) -> dict[str, ColumnShape]:
    return _columns(child.columns, child.feeds, classes)


def _columns(columns: tuple[ColumnSpec, ...], feeds: Feeds, classes: frozenset[str]) -> dict[str, ColumnShape]:
    return {
        column.name: ColumnShape(
            column.type, column.sensitivity, {name: _fingerprint(column, feeds, name) for name in sorted(classes)}
        )
        for column in columns
    }


def _fingerprint(column: ColumnSpec, feeds: Feeds, class_name: str) -> str:
    """Of all that decides the column's value in a row of this class; where the mapping stands does not."""
    feed = next((feed for feed in feeds.get(class_name, ()) if feed.column == column.name), None)
    how = feed and [feed.path, feed.on_missing, feed.on_null, feed.on_error, feed.default]
    text = json.dumps([column.type, column.sensitivity, how], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _class_column(spec: TableSpec) -> str | None:
    """The column that holds every row's class as it is."""
    for column in spec.columns:
        paths = {feed.path for feeds in spec.feeds.values() for feed in feeds if feed.column == column.name}
        if column.sensitivity == "none" and column.type == "text" and paths == {CLASS_PATH}:
            return column.name
    return None


@dataclass(frozen=True, slots=True)
class Common:
    """What two versions share. A column maps to the classes in whose rows it is compared; None: in all of them."""

    columns: Mapping[str, frozenset[str] | None]
    children: Mapping[str, Mapping[str, frozenset[str] | None]]
    classes: frozenset[str]
    # Whether both have the same classes; if not, `class_column` tells which rows belong to the comparison.
    all_rows: bool
    class_column: str | None
    left_out: Mapping[str, str] = field(default_factory=dict)


def common_of(old: TableShape, new: TableShape) -> Common:
    """The comparison that two shapes allow; `left_out` says of each other column why it is not compared."""
    classes = old.classes & new.classes
    class_column = old.class_column if old.class_column == new.class_column else None
    left_out: dict[str, str] = {}
    columns = _shared(old.columns, new.columns, classes, class_column, left_out, "")
    theirs = {child.name: child for child in old.children}
    children = {
        child.name: _shared(theirs[child.name].columns, child.columns, classes, class_column, left_out, f"{child.name}.")
        for child in new.children
        if child.name in theirs
    }
    ours = {child.name for child in new.children}
    left_out |= dict.fromkeys(sorted(ours - set(theirs)), "a new child table")
    left_out |= dict.fromkeys(sorted(set(theirs) - ours), "a child table that is gone")
    return Common(columns, children, classes, old.classes == new.classes, class_column, left_out)


def _shared(
    old: Mapping[str, ColumnShape],
    new: Mapping[str, ColumnShape],
    classes: frozenset[str],
    class_column: str | None,
    left_out: dict[str, str],
    prefix: str,
) -> dict[str, frozenset[str] | None]:
    shared: dict[str, frozenset[str] | None] = {}
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            left_out[prefix + name] = "a new column" if name in new else "a column that is gone"
            continue
        same = frozenset(one for one in classes if old[name].mappings.get(one) == new[name].mappings.get(one))
        if same == classes:
            shared[name] = None
        elif same and class_column is not None:
            shared[name] = same
        else:
            left_out[prefix + name] = "mapped in another way"
    return shared
