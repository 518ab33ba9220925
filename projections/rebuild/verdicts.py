"""What a pair of rows of two table versions means (DESIGN section 8, step 3). Pure.

    same version, same values                          equal; never seen here
    same version, other values or tombstone            a difference
    another version, or no row on one side:
        the newer snapshot lies after E                it moves: the other side has not come to it yet
        anything else                                  a difference

E are the ends that both versions had passed before their rows were looked at.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

Side = Literal["old", "new"]


class Place(NamedTuple):
    """One event of a table's topic: the row's key and the number that the event gave the row."""

    tenant_id: str
    key: str
    version: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows of one key that are not simply equal; a side without row has no version. `columns`: those that differ."""

    tenant_id: str
    key: str
    old_version: int | None
    new_version: int | None
    old_tombstone: str | None = None
    new_tombstone: str | None = None
    class_name: str | None = None
    columns: tuple[str, ...] = ()

    @property
    def newer(self) -> Place:
        """The snapshot that one side has and the other has not."""
        return Place(self.tenant_id, self.key, max(self.old_version or 0, self.new_version or 0))

    @property
    def behind(self) -> Side:
        """Which side lacks the newer snapshot."""
        return "old" if (self.old_version or 0) < (self.new_version or 0) else "new"


@dataclass(frozen=True, slots=True)
class Difference:
    """A key whose rows differ, and how. Ids only, never values."""

    tenant_id: str
    key: str
    old_version: int | None
    new_version: int | None
    reason: str
    columns: tuple[str, ...] = ()


def judge(pair: Pair, after_ends: Collection[Place]) -> Difference | None:
    """The difference that a pair is, or None where the newer snapshot lies after E."""
    if pair.old_version is not None and pair.old_version == pair.new_version:
        return _difference(pair, _at_same_version(pair))
    if pair.newer in after_ends:
        return None
    missing = pair.old_version is None or pair.new_version is None
    what = "has no row" if missing else "stands at an older snapshot"
    return _difference(pair, f"the {pair.behind} version {what} although it has read past the event")


def _at_same_version(pair: Pair) -> str:
    if pair.old_tombstone == pair.new_tombstone:
        return "the same snapshot gave other values"
    if "erased" in (pair.old_tombstone, pair.new_tombstone):
        return "only one version is erased: an erasure is on its way, compare again when it is done"
    return "the same snapshot left a tombstone in one version only"


def _difference(pair: Pair, reason: str) -> Difference:
    return Difference(pair.tenant_id, pair.key, pair.old_version, pair.new_version, reason, pair.columns)


class Sums(NamedTuple):
    """Rows and hash of one part of a table."""

    rows: int
    hash: str


def unequal_parts(old: dict[int, Sums], new: dict[int, Sums]) -> list[int]:
    """Parts whose sums differ."""
    nothing = Sums(0, "0")
    return [part for part in sorted(old.keys() | new.keys()) if old.get(part, nothing) != new.get(part, nothing)]
