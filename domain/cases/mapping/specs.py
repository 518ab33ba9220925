"""What a table is, pinned: columns, feeds, child tables.

A `TableSpec` is everything that a table version needs to be built and filled, so a version keeps it for ever and never
asks the mapping again. Its fingerprint covers what decides the rows; where a mapping stands in its file does not.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from domain.cases.mapping.model import Default, Policy, Provenance, Sensitivity

WORK_TABLE = "case_work"
TABLE_PREFIX = "case_plain_"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A mapped column. `comment` tells an analyst path and provenance."""

    name: str
    type: str
    sensitivity: Sensitivity = "none"
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """How one class fills one column. `path` is the whole path, also in a child table."""

    column: str
    path: str
    on_missing: Policy
    on_null: Policy
    on_error: Policy
    default: Default
    provenance: Provenance


Feeds = Mapping[str, tuple[Feed, ...]]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A table with one row for each element of the list at `prefix` (`$.items`, without `[*]`)."""

    name: str
    prefix: str
    columns: tuple[ColumnSpec, ...]
    feeds: Feeds


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table: its columns in order, and for every class with rows in it the feeds; a column without feed is null."""

    name: str
    columns: tuple[ColumnSpec, ...]
    feeds: Feeds = field(default_factory=dict)
    children: tuple[ChildSpec, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, for jsonb and for people."""
        return {
            "name": self.name,
            "columns": [asdict(column) for column in self.columns],
            "feeds": _feeds_json(self.feeds),
            "children": [
                {
                    "name": child.name,
                    "prefix": child.prefix,
                    "columns": [asdict(column) for column in child.columns],
                    "feeds": _feeds_json(child.feeds),
                }
                for child in self.children
            ],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TableSpec":
        """The inverse of `to_json`. Raises KeyError or TypeError on anything else."""
        return cls(
            content["name"],
            _columns(content["columns"]),
            _feeds(content["feeds"]),
            tuple(
                ChildSpec(child["name"], child["prefix"], _columns(child["columns"]), _feeds(child["feeds"]))
                for child in content["children"]
            ),
        )

    def fingerprint(self) -> str:
        """SHA-256 over what decides the rows. Equal fingerprints: the same rows, in columns of any order."""
        children = sorted(
            ([child.name, child.prefix, *_deciding(child.columns, child.feeds)] for child in self.children), key=_first
        )
        text = json.dumps([self.name, *_deciding(self.columns, self.feeds), children], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _deciding(columns: tuple[ColumnSpec, ...], feeds: Feeds) -> list[Any]:
    said = sorted([column.name, column.type, column.sensitivity] for column in columns)
    return [said, [[name, sorted((_words(feed) for feed in feeds[name]), key=_first)] for name in sorted(feeds)]]


def _words(feed: Feed) -> list[Any]:
    return [feed.column, feed.path, feed.on_missing, feed.on_null, feed.on_error, feed.default]


def _first(words: list[Any]) -> str:
    return str(words[0])


def _columns(content: Any) -> tuple[ColumnSpec, ...]:
    return tuple(ColumnSpec(**column) for column in content)


def _feeds_json(feeds: Feeds) -> dict[str, list[dict[str, Any]]]:
    return {name: [asdict(feed) for feed in feeds[name]] for name in sorted(feeds)}


def _feeds(content: Mapping[str, Any]) -> dict[str, tuple[Feed, ...]]:
    return {
        name: tuple(Feed(**{**feed, "provenance": Provenance(**feed["provenance"])}) for feed in feeds)
        for name, feeds in content.items()
    }
