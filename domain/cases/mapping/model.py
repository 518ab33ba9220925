"""The words of mapping metadata: a class, a mapping of one column, where it was said, and what is wrong with it.

Values only. Reading them is `files`, choosing among them `resolve`, making tables of them `tables`. A mapping belongs to
the installation and not to a tenant, because the tables are shared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from domain.cases.mapping.names import fold

Sensitivity = Literal["none", "mask", "hash", "encrypt"]
Policy = Literal["null", "default", "incident"]
SourceKind = Literal["file", "db"]
Severity = Literal["error", "warning"]
Default = str | int | bool | None
# What a finding is called; docs/reference/mapping.md explains each.
Code = Literal[
    "alias",
    "child-table",
    "class-of-two-modules",
    "class-twice",
    "column-name",
    "column-of-two-modules",
    "column-twice",
    "core-exposes-domain-class",
    "cycle",
    "default-unfit",
    "duplicate-key",
    "exposed-list",
    "form",
    "goes-nowhere",
    "many-values",
    "mixin-not-marked",
    "mixin-twice",
    "outside-the-tree",
    "parent-is-mixin",
    "path",
    "removes-nothing",
    "sensitivity-differs",
    "sensitivity-lost",
    "table-name",
    "too-many-columns",
    "two-lists",
    "type",
    "type-conflict",
    "unknown-class",
    "unknown-mixin",
    "unknown-parent",
    "unreadable",
]

CORE_MODULE = "core"
ROOT_CLASS = "FlowableObject"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who said it (CD-10): class, kind of source, module, and `file:line` or the version of the row."""

    source_class: str
    source_kind: SourceKind
    source_module: str
    source_location: str

    def __str__(self) -> str:
        return f"{self.source_class} ({self.source_kind} {self.source_location}, module {self.source_module})"


@dataclass(frozen=True, slots=True)
class MappingEntry:
    """How one column of a class is filled. With `remove` it takes the column away; a more specific level may bring it back.

    Without a type it has that of the next less specific mapping of the column, or text. `default` is text, an integer or
    a boolean: a decimal is written as text, so that no float ever holds it.
    """

    plain_column: str
    json_path: str | None = None
    type: str | None = None
    remove: bool = False
    exposed: bool = False
    indexed: bool = True
    sensitivity: Sensitivity = "none"
    on_missing: Policy = "null"
    on_null: Policy = "null"
    on_error: Policy = "incident"
    default: Default = None
    child_table: str | None = None
    # Where it stands; two mappings that say the same at different places are equal.
    location: str = field(default="", compare=False)
    # The column's name in SQL: CREATED_AT and created_at are one column.
    column: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "column", fold(self.plain_column))

    def typed(self, kind: str) -> "MappingEntry":
        """The same mapping with a type."""
        return self if self.type == kind else replace(self, type=kind)


@dataclass(frozen=True, slots=True)
class ClassDefinition:
    """One class as one source says it. A mixin and an abstract class have no table and no cases of their own."""

    class_name: str
    parent: str | None = None
    mixins: tuple[str, ...] = ()
    is_mixin: bool = False
    module: str = ""
    table: str | None = None
    mappings: tuple[MappingEntry, ...] = ()
    source: Provenance = Provenance("", "file", "", "")
    abstract: bool = False

    @property
    def concrete(self) -> bool:
        """Whether cases of exactly this class are stored, so that it has a table."""
        return not (self.is_mixin or self.abstract)

    def provenance(self, entry: MappingEntry) -> Provenance:
        """Where one of its mappings was said."""
        source = self.source
        return Provenance(self.class_name, source.source_kind, self.module, entry.location or source.source_location)


Graph = Mapping[str, ClassDefinition]


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """One version of a class in the database. A greater version is newer; a draft is not enabled."""

    definition: ClassDefinition
    version: int
    enabled: bool


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `location` is a file and line, or a row of the database."""

    severity: Severity
    code: Code
    class_name: str
    column: str | None
    message: str
    location: str

    def __str__(self) -> str:
        return f"{self.location}: {self.severity} {self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class ResolvedColumn:
    """The mapping that won for a column, with its type filled in, and who said it."""

    entry: MappingEntry
    provenance: Provenance

    @property
    def name(self) -> str:
        return self.entry.column


@dataclass(frozen=True, slots=True)
class ResolvedClass:
    """A class with all that it inherits. `ancestry` has the most specific class first: the order of precedence."""

    class_name: str
    ancestry: tuple[str, ...]
    columns: tuple[ResolvedColumn, ...]
